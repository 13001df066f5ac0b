//! Opens the sealed bytes of a version on their way to a reader.

use super::chunks::{CHUNK, Position, RunCipher, TAG, chunk_length, sealed_size};
use super::keys::{CipherFailure, DataKey};
use super::model::SealedRun;
use crate::backend::Span;
use crate::body::{self, Body, BodyError};
use bytes::{Bytes, BytesMut};
use futures::stream;
use http_body_util::BodyExt;
use std::collections::VecDeque;

/// Which stored bytes a span of plain bytes takes, and what is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Of the version's stored stream; `None` for a span of no bytes.
    pub stored: Option<Span>,
    stretches: VecDeque<Stretch>,
    /// Plain bytes of the first chunk that nobody asked for.
    skip: u64,
    /// Plain bytes that were asked for.
    length: u64,
}

/// Chunks of one run that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    run: SealedRun,
    next: u64,
    end: u64,
}

impl Plan {
    /// The plan for a span that lies within the runs.
    pub fn new(runs: &[SealedRun], span: Span) -> Self {
        let (mut plain, mut stored) = (0_u64, 0_u64);
        let end = span.offset.saturating_add(span.length);
        let mut plan = Self { stored: None, stretches: VecDeque::new(), skip: 0, length: span.length };
        for run in runs {
            let (from, to) = (span.offset.max(plain), end.min(plain + run.size));
            // A run of no bytes amid others is read too: its chunk lies between theirs.
            let between = run.size == 0 && plan.stored.is_some() && plain < end;
            if from < to || between {
                let (first, last) = ((from - plain) / CHUNK, to.saturating_sub(plain + 1) / CHUNK);
                let starts = stored + first * (CHUNK + TAG);
                let ends = stored + ((last + 1) * (CHUNK + TAG)).min(sealed_size(run.size));
                match &mut plan.stored {
                    Some(span) => span.length = ends - span.offset,
                    None => {
                        plan.stored = Some(Span { offset: starts, length: ends - starts });
                        plan.skip = (from - plain) % CHUNK;
                    }
                }
                plan.stretches.push_back(Stretch { run: run.clone(), next: first, end: last + 1 });
            }
            plain += run.size;
            stored += sealed_size(run.size);
        }
        plan
    }
}

/// The plain bytes of a plan, from exactly its stored bytes. What does not open ends the
/// body with an error before any of its bytes is passed on.
pub fn open(body: Body, key: DataKey, plan: Plan) -> Body {
    let state = Opening { body, key, plan, cipher: None, buffer: BytesMut::new() };
    body::from_stream(stream::try_unfold(state, |mut state| async move {
        loop {
            match state.next().await? {
                Some(bytes) if bytes.is_empty() => {}
                Some(bytes) => return Ok(Some((bytes, state))),
                None => return Ok(None),
            }
        }
    }))
}

struct Opening {
    body: Body,
    key: DataKey,
    plan: Plan,
    /// Of the first stretch that is left.
    cipher: Option<RunCipher>,
    buffer: BytesMut,
}

impl Opening {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(stretch) = self.plan.stretches.front() else { return Ok(None) };
        let (size, index) = (stretch.run.size, stretch.next);
        let sealed = usize::try_from(chunk_length(size, index) + TAG).unwrap_or(usize::MAX);
        while self.buffer.len() < sealed {
            let Some(frame) = self.body.frame().await else {
                let actual = self.buffer.len() as u64;
                return Err(BodyError::Length { expected: sealed as u64, actual });
            };
            if let Ok(data) = frame?.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
        let mut chunk = self.buffer.split_to(sealed);
        self.open_chunk(size, index, &mut chunk)
            .map_err(|_| BodyError::Backend(format!("chunk {index} is not what was stored, or the key is another")))?;
        let chunk = chunk.freeze();
        let from = usize::try_from(std::mem::take(&mut self.plan.skip)).unwrap_or(usize::MAX).min(chunk.len());
        let wanted = usize::try_from(self.plan.length).unwrap_or(usize::MAX).min(chunk.len() - from);
        self.plan.length -= wanted as u64;
        Ok(Some(chunk.slice(from..from + wanted)))
    }

    fn open_chunk(&mut self, size: u64, index: u64, chunk: &mut BytesMut) -> Result<(), CipherFailure> {
        let stretch = self.plan.stretches.front_mut().ok_or(CipherFailure)?;
        let cipher = match self.cipher.take() {
            Some(cipher) => cipher,
            None => self.key.cipher(&stretch.run)?,
        };
        cipher.open(Position::of(size, index), chunk)?;
        stretch.next += 1;
        if stretch.next < stretch.end {
            self.cipher = Some(cipher);
        } else {
            self.plan.stretches.pop_front();
        }
        Ok(())
    }
}
