//! Bodies that are slow, cut, too short or not wanted any more.

use super::{cases, objects::is_answered};
use crate::case::{Outcome, ensure, failed};
use crate::content::{broken, in_frames, pattern, slow, stuck};
use crate::trial::{Trial, differs, said};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use sallyport_core::backend::{BackendError, Get};
use std::time::Duration;

cases! {
    "body.frames" Nothing
    "A body may come in frames of any size, a byte at a time too." frames;
    "body.slow" Nothing
    "A body may come slowly." slowly;
    "body.breaks" Nothing
    "A body that breaks off leaves the complete old object and nothing of the new one." breaks;
    "body.short" Nothing
    "A body with fewer bytes than announced stores nothing." short;
    "body.long" Nothing
    "A body with more bytes than announced stores nothing." long;
    "cancel.put" Nothing
    "A write that is given up midway leaves all of it or nothing, and the next one works." cancel_put;
    "cancel.get" Nothing
    "A read that is given up midway costs nothing: the next ones work." cancel_get;
    "reader.slow" Nothing
    "An object can be read slowly." slow_reader;
}

async fn frames(trial: &Trial) -> Outcome {
    for (length, frame) in [(3_000, 1), (100_000, 1_000), (100_000, 65_537), (2_000_000, 1_000_000)] {
        let bytes = pattern(frame as u64, trial.fitting(length));
        let put = trial.write(&trial.plain(&format!("frames/{frame}"))?, bytes.len() as u64);
        let stored = said("put", trial.send(put, in_frames(&bytes, frame)).await)?;
        trial.holds(&stored.locator, &bytes).await?;
    }
    Ok(())
}

async fn slowly(trial: &Trial) -> Outcome {
    let bytes = pattern(40, trial.fitting(50_000));
    let put = trial.write(&trial.plain("slowly")?, bytes.len() as u64);
    let stored = said("put", trial.send(put, slow(&bytes, 2_500, Duration::from_millis(40))).await)?;
    trial.holds(&stored.locator, &bytes).await
}

async fn breaks(trial: &Trial) -> Outcome {
    for (length, after) in [(50_000, 0), (50_000, 1), (50_000, 49_999), (3_000_000, 1_500_000)] {
        let name = trial.plain(&format!("broken/{length}-{after}"))?;
        let (old, bytes) = (pattern(41, trial.fitting(2_000)), pattern(42, trial.fitting(length)));
        let before = trial.put(&name, &old).await?;
        let put = trial.write(&name, bytes.len() as u64);
        let write_id = put.write_id.clone();
        match trial.send(put, broken(&bytes, after)).await {
            Err(BackendError::Body(_)) => {}
            Err(error) => return failed(format!("a body that broke off was answered with: {error}")),
            Ok(_) => return failed(format!("a body that broke off after {after} bytes was stored")),
        }
        nothing_of(trial, &name, &write_id).await?;
        trial.holds(&before.locator, &old).await?;
    }
    Ok(())
}

async fn short(trial: &Trial) -> Outcome {
    let bytes = pattern(43, trial.fitting(20_000));
    let put = trial.write(&trial.plain("short")?, bytes.len() as u64 + 1);
    let (name, write_id) = (put.name.clone(), put.write_id.clone());
    if trial.send(put, in_frames(&bytes, 4_096)).await.is_ok() {
        return failed("a body with a byte too few was stored");
    }
    nothing_of(trial, &name, &write_id).await
}

async fn long(trial: &Trial) -> Outcome {
    let bytes = pattern(44, trial.fitting(20_000));
    let put = trial.write(&trial.plain("long")?, bytes.len() as u64 - 1);
    let (name, write_id) = (put.name.clone(), put.write_id.clone());
    if trial.send(put, in_frames(&bytes, 4_096)).await.is_ok() {
        return failed("a body with a byte too many was stored");
    }
    nothing_of(trial, &name, &write_id).await
}

async fn cancel_put(trial: &Trial) -> Outcome {
    let bytes = pattern(45, trial.fitting(1_000_000));
    let name = trial.plain("given-up")?;
    let mut writes = Vec::new();
    for after in [0, 1, 65_536, 500_000, 999_999] {
        let put = trial.write(&name, bytes.len() as u64);
        writes.push(put.write_id.clone());
        trial.remember_write(&name, &put.write_id);
        let given_up = tokio::time::timeout(Duration::from_millis(60), trial.send(put, stuck(&bytes, after))).await;
        ensure(!matches!(given_up, Ok(Ok(_))), || "a body that never ended was stored".to_owned())?;
    }
    for write_id in &writes {
        trial.whole_or_nothing(&name, write_id, &bytes).await?;
    }
    let stored = trial.put(&trial.plain("given-up/next")?, &bytes).await?;
    trial.holds(&stored.locator, &bytes).await
}

async fn cancel_get(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("read/given-up", 4_000_000).await?;
    let get = || Get { locator: stored.locator.clone(), size: bytes.len() as u64, span: None };
    for frames in [0, 0, 1, 1, 2, 3, 5, 8] {
        let mut body = said("get", trial.backend().get(get()).await)?;
        for _ in 0..frames {
            if let Some(Err(error)) = body.frame().await {
                return failed(format!("the body broke off: {error}"));
            }
        }
    }
    // Given up before there is an answer.
    for _ in 0..4 {
        let _ = tokio::time::timeout(Duration::from_micros(200), trial.backend().get(get())).await;
    }
    trial.holds(&stored.locator, &bytes).await
}

async fn slow_reader(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("read/slowly", 6_000_000).await?;
    let size = bytes.len() as u64;
    let body = trial.backend().get(Get { locator: stored.locator.clone(), size, span: None }).await;
    let mut body = said("get", body)?;
    let mut read = BytesMut::new();
    let mut paused = 0_u32;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => read.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(error) => return failed(format!("the body broke off after {} bytes: {error}", read.len())),
        }
        // Two seconds in all, in the first part of the object: what is behind it has to wait.
        if paused < 20 {
            paused += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let read: Bytes = read.freeze();
    ensure(read == bytes, || differs(&read, &bytes))
}

async fn nothing_of(
    trial: &Trial,
    name: &sallyport_core::backend::Name,
    write_id: &sallyport_core::names::WriteId,
) -> Outcome {
    match trial.backend().find(name, Some(write_id)).await {
        Ok(None) => Ok(()),
        Ok(Some(found)) => {
            trial.remember(&found.locator);
            failed(format!("a write that failed left an object of {} bytes", found.size))
        }
        Err(error) if is_answered(&error) => failed(format!("find failed: {error}")),
        Err(error) => failed(format!("find broke: {error}")),
    }
}
