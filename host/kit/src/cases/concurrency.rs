//! Many calls at a time.

use super::cases;
use super::conditions::still_or_gone;
use crate::case::{Outcome, Stop, ensure, failed};
use crate::content::{broken, in_frames, pattern};
use crate::trial::{Trial, gone, said};
use futures::future::{join_all, try_join_all};
use sallyport_core::backend::FailureCode;

cases! {
    "concurrent.objects" Nothing
    "Calls for many objects at a time do not disturb each other." objects;
    "concurrent.place" Nothing
    "Of many writes to one place at a time each is whole or gone, and one of them stays." place;
    "concurrent.failures" Nothing
    "A write that fails does not disturb those beside it." failures;
    "concurrent.deletes" Nothing
    "Many deletes of the same bytes at a time all succeed." deletes;
}

async fn objects(trial: &Trial) -> Outcome {
    let lives = (0..24_u64).map(|index| async move {
        let bytes = pattern(200 + index, trial.fitting(1 + 7_919 * index as usize));
        let name = trial.plain(&format!("concurrent/{index}"))?;
        let put = trial.write(&name, bytes.len() as u64);
        let write_id = put.write_id.clone();
        let stored = said("put", trial.send(put, in_frames(&bytes, 10_000)).await)?;
        trial.holds(&stored.locator, &bytes).await?;
        ensure(trial.find(&name, &write_id).await?.is_some(), || "find does not see a write".to_owned())?;
        said("delete", trial.backend().delete(&stored.locator).await)?;
        trial.is_gone(&stored.locator, bytes.len() as u64).await
    });
    try_join_all(lives).await.map(|_| ())
}

async fn place(trial: &Trial) -> Outcome {
    let name = trial.plain("concurrent")?;
    let writes = (0..12_u64).map(|index| {
        let name = name.clone();
        async move {
            let bytes = pattern(300 + index, trial.fitting(50_000));
            let put = trial.write(&name, bytes.len() as u64);
            (trial.send(put, in_frames(&bytes, 4_096)).await, bytes)
        }
    });
    let mut acknowledged = Vec::new();
    for (answer, bytes) in join_all(writes).await {
        match answer {
            Ok(stored) => acknowledged.push((stored, bytes)),
            // A backend may ask for one at a time; what it acknowledges counts.
            Err(error) if error.is_retryable() || error.code() == Some(FailureCode::Changed) => {}
            Err(error) => return failed(format!("put failed: {error}")),
        }
    }
    let mut whole = 0;
    for (stored, bytes) in &acknowledged {
        if trial.traits().keeps_overwritten {
            still_or_gone(trial, &stored.locator, bytes).await?;
            whole += 1;
            continue;
        }
        match trial.get(&stored.locator, bytes.len() as u64, None).await {
            Ok(read) if read == *bytes => whole += 1,
            Ok(_) => return failed("a locator names bytes of another write"),
            Err(error) => gone("get", Err(error))?,
        }
    }
    ensure(whole > 0, || format!("of {} acknowledged writes none is there", acknowledged.len()))
}

async fn failures(trial: &Trial) -> Outcome {
    let writes = (0..16_u64).map(|index| async move {
        let bytes = pattern(400 + index, trial.fitting(80_000));
        let put = trial.write(&trial.derived("beside")?, bytes.len() as u64);
        if index % 2 == 0 {
            let stored = said("put", trial.send(put, in_frames(&bytes, 8_192)).await)?;
            return trial.holds(&stored.locator, &bytes).await;
        }
        match trial.send(put, broken(&bytes, 40_000)).await {
            Ok(_) => Err(Stop::Failed("a body that broke off was stored".to_owned())),
            Err(_) => Ok(()),
        }
    });
    try_join_all(writes).await.map(|_| ())
}

async fn deletes(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("deleted/often", 1_000).await?;
    let deletes = join_all((0..8).map(|_| trial.backend().delete(&stored.locator))).await;
    for answer in deletes {
        said("delete", answer)?;
    }
    trial.is_gone(&stored.locator, bytes.len() as u64).await
}
