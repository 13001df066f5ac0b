//! An upstream that is down, slow, broken or lies.

use crate::case::{Case, Needs, Outcome, Stop, ensure, failed, skipped};
use crate::chaos::Mood;
use crate::content::{in_frames, pattern};
use crate::trial::{Trial, said};
use bytes::Bytes;
use sallyport_core::backend::{BackendError, FailureCode, Stored};
use std::time::Duration;
use tokio::time::Instant;

/// Longer than any call may take here, whatever the upstream does.
const PATIENCE: Duration = Duration::from_secs(40);

macro_rules! troubled {
    ($($id:literal $contract:literal $ask:path;)*) => {
        pub(super) const CASES: &[Case] = &[$(Case {
            id: $id,
            contract: $contract,
            needs: Needs::Nothing,
            troubled: true,
            ask: |trial| Box::pin($ask(trial)),
        }),*];
    };
}

troubled! {
    "fault.down" "While the upstream is down every call fails with a code that may pass, and claims nothing." down;
    "fault.refuses" "The same while it closes every connection." refuses;
    "fault.unavailable" "The same while it answers 503." unavailable;
    "fault.error" "While it answers 500 no call succeeds or claims that something is absent." error;
    "fault.garbage" "While it answers what is no HTTP no call succeeds or claims that something is absent." garbage;
    "fault.denied" "While it answers 403 no call succeeds or claims that something is absent." denied;
    "fault.redirect" "A redirect is not followed and is no success." redirect;
    "fault.cut" "While it cuts every answer's head no call succeeds or claims that something is absent." cut;
    "fault.silent" "An upstream that says nothing ends a call with an error, in time." silent;
    "fault.slow" "A slow upstream is waited for." slow;
    "fault.short-read" "A body that the upstream cuts ends with an error and not as a shorter object." short_read;
    "fault.other-length" "An answer with other bytes than those asked for is no success." other_length;
    "fault.cut-write" "A write that the upstream cuts fails, and leaves all of it or nothing." cut_write;
    "fault.lost-answer" "A write whose answer is lost is whole, or not there at all." lost_answer;
    "fault.recovers" "When the upstream is back, so is the location." recovers;
}

struct Stage<'a> {
    trial: &'a Trial,
    bytes: Bytes,
    stored: Stored,
    /// What is deleted meanwhile: a delete may reach the upstream although its answer does not
    /// come back.
    doomed: Stored,
}

impl<'a> Stage<'a> {
    /// Stores an object while the upstream is well.
    async fn set(trial: &'a Trial) -> Result<Self, Stop> {
        let bytes = pattern(600, trial.fitting(300_000));
        let stored = trial.put(&trial.derived("before")?, &bytes).await?;
        if !trial.detour.is_used() {
            return skipped("the location connects to nothing");
        }
        let doomed = trial.put(&trial.derived("doomed")?, &bytes).await?;
        Ok(Self { trial, bytes, stored, doomed })
    }

    /// Makes every kind of call in a mood; `judge` says what is wrong with an error, if anything.
    async fn all_fail(&self, mood: Mood, judge: impl Fn(&BackendError) -> Result<(), &'static str>) -> Outcome {
        let trial = self.trial;
        trial.detour.turn(mood).await;
        let name = trial.derived("during")?;
        let put = trial.write(&name, self.bytes.len() as u64);
        let write_id = put.write_id.clone();
        let (put, get, head, delete, find) = tokio::join!(
            timed("put", trial.send(put, in_frames(&self.bytes, 65_536))),
            timed("get", trial.get(&self.stored.locator, self.bytes.len() as u64, None)),
            timed("head", trial.backend().head(&self.stored.locator)),
            timed("delete", trial.backend().delete(&self.doomed.locator)),
            timed("find", trial.backend().find(&name, Some(&write_id))),
        );
        let answers = [
            ("put", put?.map(|_| ())),
            ("get", get?.map(|_| ())),
            ("head", head?.map(|_| ())),
            ("delete", delete?),
            ("find", find?.map(|_| ())),
        ];
        trial.detour.turn(Mood::Honest).await;
        for (call, answer) in answers {
            match answer {
                Ok(()) => return failed(format!("{call} succeeded")),
                Err(error) => judge(&error).or_else(|what| failed(format!("{call} {what}: {error}")))?,
            }
        }
        self.is_well(&name, &write_id).await
    }

    /// Afterwards the object is as it was, and the write that failed is whole or not there.
    async fn is_well(
        &self,
        name: &sallyport_core::backend::Name,
        write_id: &sallyport_core::names::WriteId,
    ) -> Outcome {
        self.trial.holds(&self.stored.locator, &self.bytes).await?;
        self.trial.whole_or_nothing(name, write_id, &self.bytes).await
    }
}

/// A call that hangs fails the case.
async fn timed<T>(
    call: &str,
    answer: impl Future<Output = Result<T, BackendError>>,
) -> Result<Result<T, BackendError>, Stop> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => Ok(answer),
        Err(_) => failed(format!("{call} was not over after {} s", PATIENCE.as_secs())),
    }
}

/// Nothing may be concluded from an answer that was none.
fn claims_nothing(error: &BackendError) -> Result<(), &'static str> {
    match error.code() {
        Some(FailureCode::NotFound | FailureCode::Changed | FailureCode::Exists) => Err("claims to know what is there"),
        Some(_) => Ok(()),
        None if matches!(error, BackendError::Broke(_)) => Err("broke the plugin"),
        None => Ok(()),
    }
}

/// The client is to try again, so the code has to say that this may help.
fn may_pass(error: &BackendError) -> Result<(), &'static str> {
    claims_nothing(error)?;
    // The host words what became of a body that was being read.
    let is_body = matches!(error, BackendError::Body(_));
    if is_body || error.is_retryable() { Ok(()) } else { Err("does not say that it may pass") }
}

async fn down(trial: &Trial) -> Outcome {
    Stage::set(trial).await?.all_fail(Mood::Down, may_pass).await
}

async fn refuses(trial: &Trial) -> Outcome {
    Stage::set(trial).await?.all_fail(Mood::Refuse, may_pass).await
}

async fn unavailable(trial: &Trial) -> Outcome {
    Stage::set(trial).await?.all_fail(Mood::status(503), may_pass).await
}

async fn error(trial: &Trial) -> Outcome {
    Stage::set(trial).await?.all_fail(Mood::status(500), claims_nothing).await
}

async fn garbage(trial: &Trial) -> Outcome {
    let noise = Mood::Say("SSH-2.0-OpenSSH_9.9\r\n\u{1}\u{2}\u{3}".to_owned());
    Stage::set(trial).await?.all_fail(noise, claims_nothing).await
}

async fn denied(trial: &Trial) -> Outcome {
    Stage::set(trial).await?.all_fail(Mood::status(403), claims_nothing).await
}

async fn redirect(trial: &Trial) -> Outcome {
    let stage = Stage::set(trial).await?;
    for code in [301, 302, 307, 308] {
        let elsewhere = Mood::answer(code, "location: http://127.0.0.1:1/elsewhere\r\n", "");
        stage.all_fail(elsewhere, claims_nothing).await?;
    }
    Ok(())
}

async fn cut(trial: &Trial) -> Outcome {
    Stage::set(trial).await?.all_fail(Mood::CutAnswer(10), claims_nothing).await
}

async fn silent(trial: &Trial) -> Outcome {
    let started = Instant::now();
    Stage::set(trial).await?.all_fail(Mood::Silent, claims_nothing).await?;
    ensure(started.elapsed() < PATIENCE, || format!("it took {} s", started.elapsed().as_secs()))
}

async fn slow(trial: &Trial) -> Outcome {
    let stage = Stage::set(trial).await?;
    trial.detour.turn(Mood::Slow(Duration::from_millis(150))).await;
    let small = pattern(601, trial.fitting(2_000));
    let stored = trial.put(&trial.derived("slow")?, &small).await?;
    trial.holds(&stored.locator, &small).await?;
    trial.detour.turn(Mood::Honest).await;
    trial.holds(&stage.stored.locator, &stage.bytes).await
}

async fn short_read(trial: &Trial) -> Outcome {
    let stage = Stage::set(trial).await?;
    let size = stage.bytes.len();
    for after in [size / 100, size / 2, size - 1_000] {
        trial.detour.turn(Mood::CutAnswer(after)).await;
        let read = timed("get", trial.get(&stage.stored.locator, size as u64, None)).await?;
        if let Ok(read) = read {
            return failed(format!("{} bytes of {size} came, and no error", read.len()));
        }
    }
    trial.detour.turn(Mood::Honest).await;
    trial.holds(&stage.stored.locator, &stage.bytes).await
}

async fn other_length(trial: &Trial) -> Outcome {
    let stage = Stage::set(trial).await?;
    for (code, headers) in [(200, ""), (206, "content-range: bytes 0-4/5\r\n"), (204, ""), (200, "etag: \"0\"\r\n")] {
        trial.detour.turn(Mood::answer(code, headers, "hello")).await;
        let read = timed("get", trial.get(&stage.stored.locator, stage.bytes.len() as u64, None)).await?;
        if let Ok(read) = read {
            return failed(format!(
                "an answer of status {code} with other bytes was passed on as {} bytes",
                read.len()
            ));
        }
    }
    trial.detour.turn(Mood::Honest).await;
    trial.holds(&stage.stored.locator, &stage.bytes).await
}

async fn cut_write(trial: &Trial) -> Outcome {
    let stage = Stage::set(trial).await?;
    let size = stage.bytes.len();
    // Within the first line, and later: some servers take a head that breaks off for a whole one.
    for after in [20, size / 2, size - 1] {
        trial.detour.turn(Mood::CutRequest(after)).await;
        let name = trial.derived("cut")?;
        let put = trial.write(&name, size as u64);
        let write_id = put.write_id.clone();
        let sent = timed("put", trial.send(put, in_frames(&stage.bytes, 16_384))).await?;
        trial.detour.turn(Mood::Honest).await;
        match sent {
            Ok(_) => return failed(format!("a request that was cut after {after} bytes was a success")),
            Err(error) => claims_nothing(&error).or_else(|what| failed(format!("put {what}: {error}")))?,
        }
        stage.is_well(&name, &write_id).await?;
    }
    Ok(())
}

async fn lost_answer(trial: &Trial) -> Outcome {
    let stage = Stage::set(trial).await?;
    trial.detour.turn(Mood::CutAnswer(0)).await;
    let name = trial.derived("unheard")?;
    let put = trial.write(&name, stage.bytes.len() as u64);
    let write_id = put.write_id.clone();
    let sent = timed("put", trial.send(put, in_frames(&stage.bytes, 65_536))).await?;
    trial.detour.turn(Mood::Honest).await;
    match sent {
        Ok(_) => return failed("a write without an answer was a success"),
        Err(error) => claims_nothing(&error).or_else(|what| failed(format!("put {what}: {error}")))?,
    }
    stage.is_well(&name, &write_id).await
}

async fn recovers(trial: &Trial) -> Outcome {
    let stage = Stage::set(trial).await?;
    for mood in [Mood::Down, Mood::status(503), Mood::CutAnswer(0)] {
        trial.detour.turn(mood).await;
        let _ = timed("check", trial.backend().check(false)).await?;
        trial.detour.turn(Mood::Honest).await;
        said("check", trial.backend().check(false).await)?;
        trial.holds(&stage.stored.locator, &stage.bytes).await?;
    }
    Ok(())
}
