//! The tasks of a location's connections: they take a processor as its calls do, and give way as those do.

use crate::lane::Lane;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Runs the tasks of one location's connections among all others' as long as it does not take more than its part, and
/// beside them else.
#[derive(Clone)]
pub(crate) struct Connections(pub(crate) Arc<Lane>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Connections {
    fn execute(&self, task: F) {
        Stage { task: Some(Box::pin(task)), lane: self.0.clone(), among: self.0.among(), is_beside: false }.begin();
    }
}

/// A task where it runs now. It ends when it goes on elsewhere.
struct Stage {
    task: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    lane: Arc<Lane>,
    /// Where all others run.
    among: Handle,
    is_beside: bool,
}

impl Stage {
    fn begin(self) {
        let runtime = if self.is_beside { self.lane.beside() } else { Some(self.among.clone()) };
        // There is always a place among the others.
        let runtime = runtime.unwrap_or_else(|| self.among.clone());
        runtime.spawn(self);
    }
}

impl Future for Stage {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(task) = &mut this.task else { return Poll::Ready(()) };
        if !this.is_beside && !this.lane.has_others() {
            return task.as_mut().poll(cx);
        }
        let now = Instant::now();
        let goes_elsewhere = if this.is_beside { this.lane.may_return(now) } else { this.lane.is_over(now) };
        if goes_elsewhere {
            let is_beside = !this.is_beside;
            Self { task: this.task.take(), lane: this.lane.clone(), among: this.among.clone(), is_beside }.begin();
            return Poll::Ready(());
        }
        let polled = task.as_mut().poll(cx);
        if !this.is_beside {
            this.lane.spend(now.elapsed());
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Lanes;
    use hyper::rt::Executor;
    use std::sync::Mutex;
    use std::time::Duration;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn a_connection_of_who_takes_more_than_its_part_goes_beside_and_comes_back() {
        let lanes = Lanes::new();
        let (greedy, modest) = (lanes.lane(), lanes.lane());
        let (wake, polled, thread) =
            (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::<Mutex<String>>::default());
        let (waked, told, seen) = (wake.clone(), polled.clone(), thread.clone());
        Connections(greedy.clone()).execute(async move {
            loop {
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                *seen.lock().expect("no panic") = name;
                told.notify_one();
                waked.notified().await;
                // It may have been woken before it waited: where it runs is decided anew with each poll alone.
                tokio::task::yield_now().await;
            }
        });
        let runs = async || {
            polled.notified().await;
            thread.lock().expect("no panic").clone()
        };
        assert_ne!(runs().await, "plugins-beside");
        greedy.spend(Duration::from_secs(30));
        wake.notify_one();
        assert_ne!(runs().await, "plugins-beside", "nobody else has a call");
        let now = Instant::now();
        modest.begin(now);
        greedy.begin(now);
        wake.notify_one();
        assert_eq!(runs().await, "plugins-beside");
        // What was taken is forgiven.
        greedy.give(Duration::from_secs(60));
        wake.notify_one();
        assert_ne!(runs().await, "plugins-beside");
    }
}
