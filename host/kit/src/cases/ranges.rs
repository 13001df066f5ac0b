//! Whether a span of an object is that span.

use super::cases;
use crate::case::{Outcome, ensure, failed};
use crate::trial::{Trial, differs, said};
use futures::future::try_join_all;
use sallyport_core::backend::Span;

cases! {
    "get.ranges" Nothing
    "A span is answered with exactly its bytes: first, last, in between, across frames, all of it." ranges;
    "get.suffixes" Nothing
    "The last bytes of an object can be asked for, which is how a suffix range arrives." suffixes;
    "get.every-byte" Nothing
    "Each single byte of an object can be asked for." every_byte;
    "get.beyond" Nothing
    "A span that begins behind the last byte is refused; it is never answered with other bytes." beyond;
    "get.many" Nothing
    "Spans are answered independently of each other, many at a time." many;
}

async fn ranges(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("ranges", 1_000_003).await?;
    let size = bytes.len() as u64;
    let spans = [
        (0, 1),
        (0, 10),
        (1, 1),
        (4_095, 2),
        (4_096, 4_096),
        (65_535, 2),
        (65_536, 65_536),
        (100_000, 500_000),
        (size / 2, size - size / 2),
        (size - 1, 1),
        (1, size - 1),
        (0, size - 1),
        (0, size),
    ];
    for (offset, length) in spans.into_iter().filter(|(offset, length)| *length > 0 && offset + length <= size) {
        let read = said("get", trial.get(&stored.locator, size, Some(Span { offset, length })).await)?;
        let expected = bytes.slice(offset as usize..(offset + length) as usize);
        ensure(read == expected, || {
            format!("bytes {offset} to {}: {}", offset + length - 1, differs(&read, &expected))
        })?;
    }
    Ok(())
}

async fn suffixes(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("suffixes", 70_001).await?;
    let size = bytes.len() as u64;
    for length in [1, 2, 1_000, 65_536, size].into_iter().filter(|length| *length <= size) {
        let offset = size - length;
        let read = said("get", trial.get(&stored.locator, size, Some(Span { offset, length })).await)?;
        let expected = bytes.slice(offset as usize..);
        ensure(read == expected, || format!("the last {length}: {}", differs(&read, &expected)))?;
    }
    Ok(())
}

async fn every_byte(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("bytes", 40).await?;
    let size = bytes.len() as u64;
    for (offset, byte) in (0_u64..).zip(&bytes) {
        let read = said("get", trial.get(&stored.locator, size, Some(Span { offset, length: 1 })).await)?;
        ensure(read.as_ref() == [*byte], || format!("byte {offset} came back as {read:?}"))?;
    }
    Ok(())
}

async fn beyond(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("beyond", 1_000).await?;
    let size = bytes.len() as u64;
    for offset in [size, size + 1, size * 1_000] {
        // The host never asks for this; a plugin whose object shrank behind its back would see it.
        if let Ok(read) = trial.get(&stored.locator, size, Some(Span { offset, length: 10 })).await {
            return failed(format!("{} bytes were answered from {offset} on, of {size}", read.len()));
        }
    }
    trial.holds(&stored.locator, &bytes).await
}

async fn many(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("many", 320_000).await?;
    let size = bytes.len() as u64;
    let reads = (0..32).map(|index| {
        let (stored, bytes) = (&stored, &bytes);
        async move {
            let span = Span { offset: index * (size / 32), length: (size / 32).max(1) };
            let read = said("get", trial.get(&stored.locator, size, Some(span)).await)?;
            let expected = bytes.slice(span.offset as usize..(span.offset + span.length) as usize);
            ensure(read == expected, || format!("from {} on: {}", span.offset, differs(&read, &expected)))
        }
    });
    try_join_all(reads).await.map(|_| ())
}
