//! Brings bodies together whose MD5 is computed at the same time.

use super::md5::{LANES, Md5, update_all};
use bytes::Bytes;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio::sync::oneshot;

/// Bodies that wait, whoever they belong to.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting { jobs: VecDeque::new(), last: 0 });

struct Waiting {
    jobs: VecDeque<Job>,
    /// The number of the last one.
    last: u64,
}

/// Pieces of a body.
struct Job {
    number: u64,
    md5: Md5,
    pieces: Vec<Bytes>,
    reply: oneshot::Sender<Md5>,
}

/// A body whose MD5 is being computed, for as long as this lives.
pub(super) struct Member(());

/// How many there are.
static MEMBERS: AtomicUsize = AtomicUsize::new(0);

impl Member {
    pub(super) fn join() -> Self {
        MEMBERS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        MEMBERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes the next bytes of a body, beside those of others that are there by the time that this task has its next turn.
/// Whoever has its turn first computes for up to [`LANES`] of them: nobody waits for somebody to come, and the only
/// body not at all.
///
/// `None` when whoever computed it broke. Dropped, nothing comes of it.
pub(super) async fn update(md5: Md5, pieces: Vec<Bytes>, _member: &Member) -> Option<Md5> {
    if MEMBERS.load(Ordering::Relaxed) <= 1 {
        let mut alone = [(md5, pieces)];
        update_all(&mut alone);
        let [(md5, _)] = alone;
        return Some(md5);
    }
    let (reply, done) = oneshot::channel();
    let number = {
        let mut waiting = waiting();
        waiting.last += 1;
        let number = waiting.last;
        waiting.jobs.push_back(Job { number, md5, pieces, reply });
        number
    };
    // Whoever has bytes by now brings them. A task that wakes itself goes to the end of the queue, from where another
    // thread may take it; tokio's own way to yield leaves it to this one.
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    let jobs = waiting().take(number);
    let (mut messages, replies): (Vec<_>, Vec<_>) =
        jobs.into_iter().map(|job| ((job.md5, job.pieces), job.reply)).unzip();
    update_all(&mut messages);
    for ((md5, _), reply) in messages.into_iter().zip(replies) {
        // Who gave up does not mind.
        let _ = reply.send(md5);
    }
    done.await.ok()
}

impl Waiting {
    /// A job with others that wait beside it; none when somebody else has taken it.
    fn take(&mut self, number: u64) -> Vec<Job> {
        // They wait in the order of their numbers.
        let Ok(own) = self.jobs.binary_search_by_key(&number, |job| job.number) else { return Vec::new() };
        let mut jobs: Vec<Job> = self.jobs.remove(own).into_iter().collect();
        while jobs.len() < LANES
            && let Some(job) = self.jobs.pop_front()
        {
            if !job.reply.is_closed() {
                jobs.push(job);
            }
        }
        jobs
    }
}

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::md5::Digest as _;

    fn bytes(seed: u8, length: usize) -> Bytes {
        (0..length).map(|at| (at as u8).wrapping_mul(seed)).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_bodies_at_once_have_each_its_own_digest() {
        let bodies = (1..40_u8).map(|seed| {
            tokio::spawn(async move {
                let body = bytes(seed, 1000 * usize::from(seed) + 7);
                let (mut md5, member) = (Md5::new(), Member::join());
                for chunk in body.chunks(777) {
                    let pieces = chunk.chunks(400).map(Bytes::copy_from_slice).collect();
                    md5 = update(md5, pieces, &member).await.expect("nobody breaks");
                }
                assert_eq!(md5.finish(), <[u8; 16]>::from(::md5::Md5::digest(&body)));
            })
        });
        for body in bodies.collect::<Vec<_>>() {
            body.await.expect("no panic");
        }
    }

    #[tokio::test]
    async fn who_gives_up_stands_in_nobodys_way() {
        let (first, second) = (Member::join(), Member::join());
        let mut given_up = Box::pin(update(Md5::new(), vec![bytes(3, 500)], &first));
        assert!(futures::poll!(&mut given_up).is_pending());
        drop(given_up);
        let md5 = update(Md5::new(), vec![bytes(5, 500)], &second).await.expect("nobody breaks");
        assert_eq!(md5.finish(), <[u8; 16]>::from(::md5::Md5::digest(bytes(5, 500))));
    }
}
