//! What becomes of a place that is written again.

use super::cases;
use crate::case::{Outcome, Stop, ensure, failed, skipped};
use crate::content::{in_frames, pattern};
use crate::trial::{Trial, said};
use bytes::Bytes;
use sallyport_core::backend::{Expectation, FailureCode, Locator, Name, Stored};

cases! {
    "put.replaces" Nothing
    "After a second write a locator of the first names its bytes still, or answers that they are gone." replaces;
    "put.shrinks" Nothing
    "A shorter write leaves nothing of a longer one." shrinks;
    "put.again" Nothing
    "The same bytes written twice are two writes: each is found by its own id." again;
    "expect.nothing" Nothing
    "A write that expects nothing succeeds at a free place, and answers exists or is kept apart at an occupied one." nothing;
    "expect.bytes" Nothing
    "A write that expects bytes succeeds while they are there." bytes;
    "expect.changed" Nothing
    "A write that expects bytes which were replaced or deleted answers changed or not-found." changed;
    "expect.refused" Nothing
    "A write that is refused for its condition changes nothing." refused;
}

async fn replaces(trial: &Trial) -> Outcome {
    let name = trial.plain("replaced")?;
    let (first, second) = (pattern(20, trial.fitting(5_000)), pattern(21, trial.fitting(5_000)));
    let old = trial.put(&name, &first).await?;
    trial.holds(&old.locator, &first).await?;
    let new = trial.put(&name, &second).await?;
    trial.holds(&new.locator, &second).await?;
    still_or_gone(trial, &old.locator, &first).await?;
    said("delete", trial.backend().delete(&new.locator).await)?;
    trial.is_gone(&new.locator, second.len() as u64).await?;
    still_or_gone(trial, &old.locator, &first).await
}

async fn shrinks(trial: &Trial) -> Outcome {
    let name = trial.plain("shrunk")?;
    trial.put(&name, &pattern(22, trial.fitting(200_000))).await?;
    for length in [100_000, 1, 0] {
        let bytes = pattern(23, trial.fitting(length));
        let stored = trial.put(&name, &bytes).await?;
        trial.holds(&stored.locator, &bytes).await?;
    }
    Ok(())
}

async fn again(trial: &Trial) -> Outcome {
    let name = trial.plain("again")?;
    let bytes = pattern(24, trial.fitting(1_000));
    let mut writes = Vec::new();
    for _ in 0..2 {
        let put = trial.write(&name, bytes.len() as u64);
        writes.push(put.write_id.clone());
        said("put", trial.send(put, in_frames(&bytes, 65_536)).await)?;
    }
    for (write_id, is_last) in writes.iter().zip([false, true]) {
        match trial.find(&name, write_id).await? {
            Some(found) => trial.holds(&found.locator, &bytes).await?,
            None if is_last || trial.traits().keeps_overwritten => return failed("a write is not found by its id"),
            None => {}
        }
    }
    Ok(())
}

async fn nothing(trial: &Trial) -> Outcome {
    let name = trial.plain("nothing")?;
    let (first, second) = (pattern(25, trial.fitting(900)), pattern(26, trial.fitting(900)));
    let old = said("put at a free place", expecting(trial, &name, &first, Expectation::Nothing).await)?;
    match expecting(trial, &name, &second, Expectation::Nothing).await {
        Ok(new) => {
            // Best effort where the backend has no condition for it.
            trial.holds(&new.locator, &second).await?;
            still_or_gone(trial, &old.locator, &first).await
        }
        Err(error) if error.code() == Some(FailureCode::Exists) => trial.holds(&old.locator, &first).await,
        Err(error) => failed(format!("at an occupied place it answered neither success nor exists: {error}")),
    }
}

async fn bytes(trial: &Trial) -> Outcome {
    let name = trial.plain("expected")?;
    let mut before = trial.put(&name, &pattern(27, trial.fitting(600))).await?;
    for seed in 28..31 {
        let bytes = pattern(seed, trial.fitting(600));
        let expect = Expectation::Bytes(before.locator.clone());
        before = said("put over the expected bytes", expecting(trial, &name, &bytes, expect).await)?;
        trial.holds(&before.locator, &bytes).await?;
    }
    Ok(())
}

async fn changed(trial: &Trial) -> Outcome {
    conditional(trial)?;
    let name = trial.plain("changed")?;
    let bytes = pattern(31, trial.fitting(600));
    let deleted = trial.put(&name, &bytes).await?;
    said("delete", trial.backend().delete(&deleted.locator).await)?;
    refuses(trial, &name, &deleted.locator, "deleted").await?;
    let replaced = trial.put(&name, &bytes).await?;
    let newer = trial.put(&name, &pattern(32, trial.fitting(600))).await?;
    refuses(trial, &name, &replaced.locator, "replaced").await?;
    said("delete", trial.backend().delete(&newer.locator).await)
}

async fn refused(trial: &Trial) -> Outcome {
    conditional(trial)?;
    let name = trial.plain("refused")?;
    let gone = trial.put(&name, &pattern(33, trial.fitting(400))).await?;
    said("delete", trial.backend().delete(&gone.locator).await)?;
    let bytes = pattern(34, trial.fitting(400));
    let stored = trial.put(&name, &bytes).await?;
    let attempt = pattern(35, trial.fitting(400));
    let mut put = trial.write(&name, attempt.len() as u64);
    put.expect = Expectation::Bytes(gone.locator);
    let write_id = put.write_id.clone();
    if trial.send(put, in_frames(&attempt, 65_536)).await.is_ok() {
        return failed("it was not refused");
    }
    let found = trial.find(&name, &write_id).await?;
    ensure(found.is_none(), || "the write that was refused took place".to_owned())?;
    trial.holds(&stored.locator, &bytes).await
}

/// Where overwritten bytes are kept no write can lose any: there the gateway expects nothing in
/// particular, and its own order is what counts.
fn conditional(trial: &Trial) -> Outcome {
    if trial.traits().keeps_overwritten {
        return skipped("overwritten bytes are kept, so the gateway makes no condition");
    }
    Ok(())
}

async fn expecting(
    trial: &Trial,
    name: &Name,
    bytes: &Bytes,
    expect: Expectation,
) -> Result<Stored, sallyport_core::backend::BackendError> {
    let mut put = trial.write(name, bytes.len() as u64);
    put.expect = expect;
    trial.send(put, in_frames(bytes, 65_536)).await
}

async fn refuses(trial: &Trial, name: &Name, expected: &Locator, what: &str) -> Outcome {
    let bytes = pattern(36, trial.fitting(600));
    match expecting(trial, name, &bytes, Expectation::Bytes(expected.clone())).await {
        Err(error) if matches!(error.code(), Some(FailureCode::Changed | FailureCode::NotFound)) => Ok(()),
        Err(error) => failed(format!("over {what} bytes it answered neither changed nor not-found: {error}")),
        Ok(_) => failed(format!("it succeeded although the expected bytes were {what}")),
    }
}

/// Bytes that were replaced are still there where they are kept, and gone elsewhere: never others.
pub(super) async fn still_or_gone(trial: &Trial, locator: &Locator, bytes: &Bytes) -> Outcome {
    if trial.traits().keeps_overwritten {
        return trial.holds(locator, bytes).await.map_err(|stop| match stop {
            Stop::Failed(why) => Stop::Failed(format!("replaced bytes are said to be kept, but {why}")),
            Stop::Skipped(why) => Stop::Skipped(why),
        });
    }
    trial.is_gone(locator, bytes.len() as u64).await
}
