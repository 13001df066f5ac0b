//! Connections that read pages of listings: as few of them as it takes.

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{Error, Sqlite};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Connections of which the first free one is taken, each with a pool of its own. One pool would have them take turns,
/// each with its own copy of the database's pages: who lists alone would find none of them in the processor's caches.
pub(super) struct Pages {
    pools: Vec<SqlitePool>,
    /// Whose turn it is when none is free.
    turn: AtomicUsize,
}

impl Pages {
    /// Up to so many connections, none of which is opened before it is needed.
    pub(super) fn new(options: &SqliteConnectOptions, most: u32) -> Self {
        let pool = |_| reading().max_connections(1).connect_lazy_with(options.clone());
        Self { pools: (0..most.max(1)).map(pool).collect(), turn: AtomicUsize::new(0) }
    }

    /// The first free connection; when all are at work, the next one to be waited for.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Sqlite>, Error> {
        for pool in &self.pools {
            if let Some(free) = pool.try_acquire() {
                return Ok(free);
            }
            if pool.size() == 0 {
                return pool.acquire().await;
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.pools.len().max(1);
        match self.pools.get(turn) {
            Some(pool) => pool.acquire().await,
            None => Err(Error::PoolClosed),
        }
    }

    pub(super) async fn close(&self) {
        for pool in &self.pools {
            pool.close().await;
        }
    }
}

/// What holds for all pools that read.
pub(super) fn reading() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .acquire_timeout(Duration::from_secs(10))
        // One worker thread each, which does not go away: asking it costs a hop per read.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(pages: &Pages) -> usize {
        pages.pools.iter().filter(|pool| pool.size() > 0).count()
    }

    /// A connection that was given back is free a moment later.
    async fn is_free(pages: &Pages, pool: usize) {
        while pages.pools[pool].num_idle() == 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_reads_alone_stays_on_one_connection() {
        let pages = Pages::new(&SqliteConnectOptions::new(), 4);
        assert_eq!(opened(&pages), 0);
        for _ in 0..10 {
            drop(pages.acquire().await.expect("a connection"));
            is_free(&pages, 0).await;
        }
        assert_eq!(opened(&pages), 1);
    }

    #[tokio::test]
    async fn who_comes_when_all_are_at_work_waits_for_one() {
        let pages = Pages::new(&SqliteConnectOptions::new(), 2);
        let first = pages.acquire().await.expect("a connection");
        let second = pages.acquire().await.expect("another");
        assert_eq!(opened(&pages), 2);
        let mut third = std::pin::pin!(pages.acquire());
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut third).await.is_err());
        drop(first);
        drop(second);
        third.await.expect("one of the two");
        assert_eq!(opened(&pages), 2);
    }
}
