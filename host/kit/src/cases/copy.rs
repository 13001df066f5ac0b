//! Whether a copy within the location is one.

use super::cases;
use super::conditions::still_or_gone;
use crate::case::{Outcome, Stop, ensure, failed, skipped};
use crate::content::pattern;
use crate::trial::{Trial, gone, said};
use bytes::Bytes;
use sallyport_core::backend::{
    BackendError, CompleteUpload, CompletedPart, Copy, CopyPart, CreateUpload, Expectation, FailureCode, Locator, Name,
    Projection, Span, Stored,
};
use sallyport_core::names::WriteId;

cases! {
    "copy.copies" Copy
    "A copy has the source's bytes, is found by its own id, and outlives the source." copies;
    "copy.exact" Copy
    "A copy of bytes that were replaced is of those bytes or of none." exact;
    "copy.absent" Copy
    "A copy of bytes that are gone answers not-found or changed." absent;
    "copy.part" CopyPart
    "A part can be made of a span of stored bytes." part;
}

async fn copy(trial: &Trial, source: &Locator, size: u64, name: &Name) -> Result<(Stored, WriteId), BackendError> {
    let write_id = WriteId::random();
    let request = Copy {
        source: source.clone(),
        size,
        name: name.clone(),
        write_id: write_id.clone(),
        expect: Expectation::Anything,
        object: Projection { metadata: vec![("copied".to_owned(), "yes".to_owned())], ..Projection::default() },
    };
    trial.remember_write(name, &write_id);
    let stored = trial.backend().copy(request).await?;
    trial.remember(&stored.locator);
    Ok((stored, write_id))
}

/// What a copy answered; `unsupported` is allowed, and ends the case.
fn copied<T>(answer: Result<T, BackendError>) -> Result<T, Stop> {
    match answer {
        Err(error) if error.code() == Some(FailureCode::Unsupported) => {
            skipped(format!("the backend cannot make this copy: {error}"))
        }
        other => said("copy", other),
    }
}

async fn copies(trial: &Trial) -> Outcome {
    for length in [0, 1, 70_000] {
        let bytes = pattern(80 + length as u64, trial.fitting(length));
        let source = trial.put(&trial.plain(&format!("source/{length}"))?, &bytes).await?;
        let name = trial.derived("copied")?;
        let (stored, write_id) = copied(copy(trial, &source.locator, bytes.len() as u64, &name).await)?;
        trial.holds(&stored.locator, &bytes).await?;
        ensure(trial.find(&name, &write_id).await?.is_some(), || "find does not see the copy".to_owned())?;
        said("delete", trial.backend().delete(&source.locator).await)?;
        trial.holds(&stored.locator, &bytes).await?;
    }
    Ok(())
}

async fn exact(trial: &Trial) -> Outcome {
    let name = trial.plain("source")?;
    let bytes = pattern(84, trial.fitting(3_000));
    let source = trial.put(&name, &bytes).await?;
    trial.put(&name, &pattern(85, trial.fitting(3_000))).await?;
    match copy(trial, &source.locator, bytes.len() as u64, &trial.derived("copied")?).await {
        Ok((stored, _)) => trial.holds(&stored.locator, &bytes).await?,
        Err(error) if error.code() == Some(FailureCode::Unsupported) => {}
        Err(error) if trial.traits().keeps_overwritten => return failed(format!("copy failed: {error}")),
        Err(error) => gone("copy", Err(error))?,
    }
    still_or_gone(trial, &source.locator, &bytes).await
}

async fn absent(trial: &Trial) -> Outcome {
    let (source, bytes) = trial.put_pattern("source", 3_000).await?;
    said("delete", trial.backend().delete(&source.locator).await)?;
    gone("copy", copy(trial, &source.locator, bytes.len() as u64, &trial.derived("copied")?).await.map(|_| ()))
}

async fn part(trial: &Trial) -> Outcome {
    let (source, bytes) = trial.put_pattern("source", 100_000).await?;
    let (name, write_id) = (trial.derived("assembled")?, WriteId::random());
    trial.remember_write(&name, &write_id);
    let create = CreateUpload { name, write_id, object: Projection::default() };
    let upload = said("create", trial.backend().create_upload(create).await)?;
    trial.remember_upload(&upload);
    let length = bytes.len() as u64;
    let span = Span { offset: length / 3, length: length / 2 };
    let request = CopyPart {
        source: source.locator.clone(),
        source_size: length,
        span: Some(span),
        upload: upload.clone(),
        number: 1,
    };
    let part = copied(trial.backend().copy_part(request).await)?;
    let parts = vec![CompletedPart { number: 1, part: part.part, size: span.length }];
    let complete = CompleteUpload { upload, parts, size: span.length };
    let stored = said("complete", trial.backend().complete_upload(complete).await)?;
    trial.remember(&stored.locator);
    let expected: Bytes = bytes.slice(span.offset as usize..(span.offset + span.length) as usize);
    trial.holds(&stored.locator, &expected).await
}
