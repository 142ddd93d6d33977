//! The readers: database threads that answer questions, each in one consistent state.
//!
//! Promises: who has read last reads next where several are free, so that what it holds
//! in memory of the database is asked again; a reader that panics or loses its
//! connection goes on.

use super::engine::{Connection, Engine, Row, Sql, StoreError, Val};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use tokio::sync::oneshot;

type ReadJob = Box<dyn FnOnce(&mut dyn Connection) + Send>;

/// A pool of threads that read, each in one consistent state.
#[derive(Clone)]
pub struct Readers(Arc<Pool>);

/// What is to be read, or who is free: never both.
#[derive(Default)]
struct Pool(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<ReadJob>,
    /// Who has read last is last.
    free: Vec<SyncSender<ReadJob>>,
}

impl Pool {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing is left half done under the lock.
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Gives a job to whoever is free, or to whoever will be next.
    fn push(&self, job: ReadJob) {
        let mut waiting = self.waiting();
        let left = match waiting.free.pop() {
            // It waits for this one, and takes it at once.
            Some(reader) => reader.send(job).err().map(|refused| refused.0),
            None => Some(job),
        };
        waiting.jobs.extend(left);
    }

    /// The next job, or else this reader is free from now on.
    fn next(&self, reader: &SyncSender<ReadJob>) -> Option<ReadJob> {
        let mut waiting = self.waiting();
        let job = waiting.jobs.pop_front();
        if job.is_none() {
            waiting.free.push(reader.clone());
        }
        job
    }
}

impl Readers {
    /// Starts so many threads, each on a connection of its own; they end when nobody can
    /// ask them any more.
    pub fn start(engine: Arc<dyn Engine>, threads: usize) -> Result<Self, StoreError> {
        let pool = Arc::new(Pool::default());
        for n in 0..threads {
            let (engine, pool, conn) = (engine.clone(), Arc::downgrade(&pool), engine.connect()?);
            let named = std::thread::Builder::new().name(format!("store-reader-{n}"));
            named.spawn(move || serve(&pool, engine.as_ref(), conn)).map_err(|e| StoreError::Unavailable(e.to_string()))?;
        }
        Ok(Self(pool))
    }

    /// Runs `work` in a transaction that sees one state.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.0.push(Box::new(move |conn| {
            let made = conn.begin_read().and_then(|()| {
                let mut plain = Plain(conn);
                work(&mut plain)
            });
            conn.rollback();
            // The caller may have gone away.
            let _ = reply.send(made);
        }));
        answer.await.map_err(|_| StoreError::Unavailable("the reader stopped".to_owned()))?
    }
}

/// Reads for as long as somebody may ask.
fn serve(pool: &Weak<Pool>, engine: &dyn Engine, mut conn: Box<dyn Connection>) {
    loop {
        // What is sent is kept by nobody but the pool, whose end ends the wait.
        let (free, jobs): (_, Receiver<ReadJob>) = sync_channel(1);
        let Some(next) = pool.upgrade().map(|pool| pool.next(&free)) else { return };
        drop(free);
        let Some(job) = next.or_else(|| jobs.recv().ok()) else { return };
        if !conn.alive()
            && let Ok(fresh) = engine.connect()
        {
            conn = fresh;
        }
        if catch_unwind(AssertUnwindSafe(|| job(conn.as_mut()))).is_err() {
            tracing::error!("a read panicked");
            conn.rollback();
        }
    }
}

/// A connection with its transactions out of reach.
struct Plain<'a>(&'a mut dyn Connection);

impl Sql for Plain<'_> {
    fn exec(&mut self, sql: &'static str, params: &[Val]) -> Result<u64, StoreError> {
        self.0.exec(sql, params)
    }

    fn query(&mut self, sql: &'static str, params: &[Val]) -> Result<Vec<Row>, StoreError> {
        self.0.query(sql, params)
    }

    fn each(&mut self, sql: &'static str, params: &[Val], look: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.0.each(sql, params, look)
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.0.batch(sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::sqlite::Sqlite;
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    fn pool(threads: usize) -> (tempfile::TempDir, Readers) {
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(Sqlite::new(folder.path().join("doorstep.db")));
        (folder, Readers::start(engine, threads).unwrap())
    }

    fn name() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    /// Until so many are free: who has answered says so a moment later.
    fn until_free(readers: &Readers, many: usize) {
        while readers.0.waiting().free.len() < many {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn one_who_asks_alone_is_answered_by_one() {
        let (_folder, readers) = pool(4);
        let mut by = BTreeSet::new();
        for _ in 0..50 {
            until_free(&readers, 4);
            by.insert(readers.read(|_| Ok(name())).await.unwrap());
        }
        assert_eq!(by.len(), 1, "answered by {by:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn all_of_them_read_at_once_and_what_is_more_waits() {
        let (_folder, readers) = pool(3);
        let together = Arc::new(Barrier::new(3));
        // Three who wait for each other pass only beside each other.
        let asked: Vec<_> = (0..30)
            .map(|n| {
                let (readers, together) = (readers.clone(), together.clone());
                tokio::spawn(async move {
                    let read = readers.read(move |s| {
                        together.wait();
                        s.one("SELECT 1", &[])?.map_or(Ok(0), |row| row.int(0)).map(|one| (one * n, name()))
                    });
                    read.await.unwrap()
                })
            })
            .collect();
        let mut by = BTreeSet::new();
        for (n, answer) in asked.into_iter().enumerate() {
            let (answered, reader) = answer.await.unwrap();
            assert_eq!(answered, n as i64);
            by.insert(reader);
        }
        assert_eq!(by.len(), 3);
    }

    #[tokio::test]
    async fn one_that_panics_or_whose_caller_is_gone_reads_on() {
        let (_folder, readers) = pool(1);
        let panicked = readers.read::<(), _>(|_| panic!("on purpose")).await;
        assert!(matches!(panicked, Err(StoreError::Unavailable(_))), "{panicked:?}");
        let (begun, has_begun) = std::sync::mpsc::channel();
        let gone = readers.clone();
        let gone = tokio::spawn(async move { gone.read(move |_| begun.send(()).map_err(|_| StoreError::Stopped)).await });
        tokio::task::spawn_blocking(move || has_begun.recv()).await.unwrap().unwrap();
        gone.abort();
        let one = readers.read(|s| s.one("SELECT 1", &[])?.map_or(Ok(0), |row| row.int(0))).await;
        assert_eq!(one, Ok(1));
    }

    thread_local! {
        /// What a thread drops when it ends.
        static KEPT: RefCell<Option<Arc<()>>> = const { RefCell::new(None) };
    }

    #[tokio::test]
    async fn they_end_when_nobody_can_ask_them() {
        let (_folder, readers) = pool(1);
        let held = Arc::new(());
        let kept = held.clone();
        let keep = move |_: &mut dyn Sql| {
            KEPT.set(Some(kept));
            Ok(())
        };
        readers.read(keep).await.unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        drop(readers);
        while Arc::strong_count(&held) > 1 {
            std::thread::yield_now();
        }
    }
}
