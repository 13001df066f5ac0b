//! Whether objects can be assembled from parts.

use super::cases;
use crate::case::{Outcome, Stop, ensure, failed, skipped};
use crate::content::{broken, in_frames, pattern};
use crate::trial::{Trial, differs, said};
use bytes::{Bytes, BytesMut};
use futures::future::try_join_all;
use sallyport_core::backend::{
    BackendError, CompleteUpload, CompletedPart, CreateUpload, FailureCode, Name, Projection, PutPart, Span, Stored,
    Token,
};
use sallyport_core::names::WriteId;

/// Where parts may be small they are.
const PART: usize = 300_000;

cases! {
    "multipart.assembles" Multipart
    "An upload's parts become one object, in the order of completion." assembles;
    "multipart.single" Multipart
    "An upload of one part, shorter than min-part, becomes an object." single;
    "multipart.order" Multipart
    "Parts may arrive in any order and at a time, and numbers may have gaps." order;
    "multipart.again" Multipart
    "A part that is stored again replaces the one of that number." again;
    "multipart.leaves-out" Multipart
    "A part that completion does not list is no part of the object." leaves_out;
    "multipart.unseen" Multipart
    "Nothing is at the place before completion." unseen;
    "multipart.abort" Multipart
    "abort frees an upload, answers the same when it is gone, and leaves nothing to complete." abort;
    "multipart.completed" Multipart
    "A completed upload is not found any more; find finds what it became." completed;
    "multipart.find-uploads" Multipart
    "find-uploads answers an open upload of a write, and none once it is over." find_uploads;
    "multipart.keep" Multipart
    "keep leaves an upload as it is." keep;
    "multipart.breaks" Multipart
    "A part that breaks off can be stored again." breaks;
    "multipart.isolated" Multipart
    "Two uploads for one key keep their parts apart." isolated;
}

struct Upload {
    name: Name,
    write_id: WriteId,
    token: Token,
}

impl Upload {
    async fn create(trial: &Trial, name: Name) -> Result<Self, Stop> {
        let write_id = WriteId::random();
        let object = Projection::default();
        let create = CreateUpload { name: name.clone(), write_id: write_id.clone(), object };
        let token = said("create", trial.backend().create_upload(create).await)?;
        trial.remember_upload(&token);
        Ok(Self { name, write_id, token })
    }

    async fn part(&self, trial: &Trial, number: u32, bytes: &Bytes) -> Result<CompletedPart, Stop> {
        let body = in_frames(bytes, 65_536);
        let part = said("put-part", trial.backend().put_part(self.request(number, bytes), body).await)?;
        Ok(CompletedPart { number, part: part.part, size: bytes.len() as u64 })
    }

    fn request(&self, number: u32, bytes: &Bytes) -> PutPart {
        PutPart { upload: self.token.clone(), number, size: bytes.len() as u64, checksums: Vec::new() }
    }

    async fn try_complete(&self, trial: &Trial, parts: &[CompletedPart]) -> Result<Stored, BackendError> {
        let size = parts.iter().map(|part| part.size).sum();
        let complete = CompleteUpload { upload: self.token.clone(), parts: parts.to_vec(), size };
        let stored = trial.backend().complete_upload(complete).await?;
        trial.remember(&stored.locator);
        Ok(stored)
    }

    async fn complete(&self, trial: &Trial, parts: &[CompletedPart]) -> Result<Stored, Stop> {
        said("complete", self.try_complete(trial, parts).await)
    }
}

/// Bytes of a part that need not be the last.
fn part_of(trial: &Trial, seed: u64) -> Result<Bytes, Stop> {
    let traits = trial.traits();
    let least = usize::try_from(traits.min_part).unwrap_or(usize::MAX);
    if least > 64 << 20 {
        return skipped("a part that is not the last one has at least 64 MiB");
    }
    let most = usize::try_from(traits.max_part).unwrap_or(usize::MAX);
    Ok(pattern(seed, PART.clamp(least, most.max(least))))
}

fn joined(pieces: &[&Bytes]) -> Bytes {
    let mut all = BytesMut::new();
    for piece in pieces {
        all.extend_from_slice(piece);
    }
    all.freeze()
}

async fn assembles(trial: &Trial) -> Outcome {
    for name in [trial.derived("assembled")?, trial.plain("assembled")?] {
        let upload = Upload::create(trial, name).await?;
        let (first, second, third) = (part_of(trial, 50)?, part_of(trial, 51)?, pattern(52, 12_345));
        let mut parts = Vec::new();
        for (number, bytes) in (1..).zip([&first, &second, &third]) {
            parts.push(upload.part(trial, number, bytes).await?);
        }
        let stored = upload.complete(trial, &parts).await?;
        let all = joined(&[&first, &second, &third]);
        trial.holds(&stored.locator, &all).await?;
        // Across the seam of two parts.
        let span = Span { offset: first.len() as u64 - 100, length: 200 };
        let read = said("get", trial.get(&stored.locator, all.len() as u64, Some(span)).await)?;
        let expected = all.slice(first.len() - 100..first.len() + 100);
        ensure(read == expected, || format!("across two parts: {}", differs(&read, &expected)))?;
        said("delete", trial.backend().delete(&stored.locator).await)?;
        trial.is_gone(&stored.locator, all.len() as u64).await?;
    }
    Ok(())
}

async fn single(trial: &Trial) -> Outcome {
    let upload = Upload::create(trial, trial.derived("single")?).await?;
    let bytes = pattern(53, 17);
    let part = upload.part(trial, 1, &bytes).await?;
    let stored = upload.complete(trial, &[part]).await?;
    trial.holds(&stored.locator, &bytes).await
}

async fn order(trial: &Trial) -> Outcome {
    let upload = Upload::create(trial, trial.derived("order")?).await?;
    let last = trial.traits().max_parts.min(10_000);
    let pieces = [part_of(trial, 54)?, part_of(trial, 55)?, pattern(56, 999)];
    let numbers = [2, last / 2, last];
    let storing = numbers.iter().zip(&pieces).rev().map(|(number, bytes)| upload.part(trial, *number, bytes));
    let mut parts = try_join_all(storing).await?;
    parts.sort_by_key(|part| part.number);
    let stored = upload.complete(trial, &parts).await?;
    trial.holds(&stored.locator, &joined(&pieces.iter().collect::<Vec<_>>())).await
}

async fn again(trial: &Trial) -> Outcome {
    let upload = Upload::create(trial, trial.derived("again")?).await?;
    let (wrong, right, last) = (part_of(trial, 57)?, part_of(trial, 58)?, pattern(59, 77));
    upload.part(trial, 1, &wrong).await?;
    let end = upload.part(trial, 2, &last).await?;
    let first = upload.part(trial, 1, &right).await?;
    let stored = upload.complete(trial, &[first, end]).await?;
    trial.holds(&stored.locator, &joined(&[&right, &last])).await
}

async fn leaves_out(trial: &Trial) -> Outcome {
    let upload = Upload::create(trial, trial.derived("left-out")?).await?;
    let (first, second, third) = (part_of(trial, 60)?, part_of(trial, 61)?, pattern(62, 88));
    let kept = upload.part(trial, 1, &first).await?;
    upload.part(trial, 2, &second).await?;
    let last = upload.part(trial, 3, &third).await?;
    let stored = upload.complete(trial, &[kept, last]).await?;
    trial.holds(&stored.locator, &joined(&[&first, &third])).await
}

async fn unseen(trial: &Trial) -> Outcome {
    let upload = Upload::create(trial, trial.derived("unseen")?).await?;
    let bytes = pattern(63, 100);
    let part = upload.part(trial, 1, &bytes).await?;
    let found = trial.find(&upload.name, &upload.write_id).await?;
    ensure(found.is_none(), || "find answers an upload that is still open".to_owned())?;
    let stored = upload.complete(trial, &[part]).await?;
    trial.holds(&stored.locator, &bytes).await
}

async fn abort(trial: &Trial) -> Outcome {
    let upload = Upload::create(trial, trial.derived("aborted")?).await?;
    let part = upload.part(trial, 1, &pattern(64, 100)).await?;
    for _ in 0..3 {
        said("abort", trial.backend().abort_upload(&upload.token).await)?;
    }
    not_found("complete after abort", upload.try_complete(trial, &[part]).await)?;
    let found = trial.find(&upload.name, &upload.write_id).await?;
    ensure(found.is_none(), || "an aborted upload left an object".to_owned())
}

async fn completed(trial: &Trial) -> Outcome {
    let upload = Upload::create(trial, trial.derived("completed")?).await?;
    let bytes = pattern(65, 4_321);
    let part = upload.part(trial, 1, &bytes).await?;
    upload.complete(trial, std::slice::from_ref(&part)).await?;
    match upload.try_complete(trial, &[part]).await {
        // The backend remembers, and names the same bytes.
        Ok(stored) => trial.holds(&stored.locator, &bytes).await?,
        other => not_found("complete of a completed upload", other)?,
    }
    match trial.find(&upload.name, &upload.write_id).await? {
        Some(found) => {
            ensure(found.size == bytes.len() as u64, || format!("find answered {} bytes", found.size))?;
            trial.holds(&found.locator, &bytes).await
        }
        None => failed("find does not see what the upload became"),
    }
}

async fn find_uploads(trial: &Trial) -> Outcome {
    let upload = Upload::create(trial, trial.derived("searched")?).await?;
    // Azure has nothing to find before the first part is there.
    let part = upload.part(trial, 1, &pattern(66, 200)).await?;
    let find = || trial.backend().find_uploads(&upload.name, &upload.write_id);
    let found = said("find-uploads", find().await)?;
    ensure(!found.is_empty(), || "it does not see an open upload".to_owned())?;
    let elsewhere = trial.derived("elsewhere")?;
    let other = said("find-uploads", trial.backend().find_uploads(&elsewhere, &WriteId::random()).await)?;
    ensure(other.is_empty(), || "it answers an upload at a place without one".to_owned())?;
    upload.complete(trial, &[part]).await?;
    let found = said("find-uploads", find().await)?;
    ensure(found.is_empty(), || "it answers an upload that was completed".to_owned())
}

async fn keep(trial: &Trial) -> Outcome {
    let upload = Upload::create(trial, trial.derived("kept")?).await?;
    let bytes = pattern(67, 300);
    said("keep", trial.backend().keep_upload(&upload.token).await)?;
    let part = upload.part(trial, 1, &bytes).await?;
    said("keep", trial.backend().keep_upload(&upload.token).await)?;
    let stored = upload.complete(trial, &[part]).await?;
    trial.holds(&stored.locator, &bytes).await
}

async fn breaks(trial: &Trial) -> Outcome {
    let upload = Upload::create(trial, trial.derived("broken")?).await?;
    let bytes = pattern(68, 150_000);
    match trial.backend().put_part(upload.request(1, &bytes), broken(&bytes, 70_000)).await {
        Ok(_) => return failed("a part that broke off was stored"),
        Err(BackendError::Body(_)) => {}
        Err(error) => return failed(format!("a part that broke off was answered with: {error}")),
    }
    let part = upload.part(trial, 1, &bytes).await?;
    let stored = upload.complete(trial, &[part]).await?;
    trial.holds(&stored.locator, &bytes).await
}

async fn isolated(trial: &Trial) -> Outcome {
    let (one, other) = (trial.derived("isolated")?, trial.derived("isolated")?);
    let (one, other) = (Upload::create(trial, one).await?, Upload::create(trial, other).await?);
    let (mine, theirs) = (pattern(69, 1_000), pattern(70, 1_000));
    let (mine_part, theirs_part) = (one.part(trial, 1, &mine).await?, other.part(trial, 1, &theirs).await?);
    let stored = one.complete(trial, &[mine_part]).await?;
    trial.holds(&stored.locator, &mine).await?;
    let stored = other.complete(trial, &[theirs_part]).await?;
    trial.holds(&stored.locator, &theirs).await
}

fn not_found(call: &str, answer: Result<Stored, BackendError>) -> Outcome {
    match answer {
        Err(error) if error.code() == Some(FailureCode::NotFound) => Ok(()),
        Err(error) => failed(format!("{call} did not answer not-found: {error}")),
        Ok(_) => failed(format!("{call} succeeded")),
    }
}
