//! The group-commit writer: a database thread behind async calls.
//!
//! Promises: a caller hears of success only after the commit that holds its work
//! is on disk; concurrent callers share a transaction and one fsync; a job that
//! fails takes none of its neighbours with it; what a group writes to the log
//! (changes, events, ledger) comes last in it, behind one lock, so that the log's
//! order is commit order.
//! Does not: know any table. Jobs must be re-runnable: ids and times are made
//! outside of them.

use super::books::Books;
use super::engine::{Connection, Engine, Row, Sql, StoreError, Update, Val};
use super::ids::Ids;
use super::log::Log;
use super::names::Names;
use super::notices::ToTell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Most jobs that share a commit.
const GROUP_JOBS: usize = 256;
/// No job joins a group that has run for this long.
const GROUP_TIME: Duration = Duration::from_millis(5);
/// How often a job that met a deadlock or a lock is run again.
const BUSY_TRIES: usize = 8;

/// A write transaction: the database, and the log rows that will be written last.
pub struct Tx<'a> {
    sql: &'a mut dyn Connection,
    /// Makes ids and salts; a job that runs again makes new ones.
    pub ids: &'a Ids,
    pub(super) names: &'a Names,
    /// Changes, events and ledger entries of this group.
    pub log: &'a mut Log,
    /// Whose figures this group changes.
    pub books: &'a mut Books,
    /// Workers whom this group gave something to be told; counts for nothing where
    /// nobody is told anything.
    pub(super) to_tell: &'a mut ToTell,
}

impl Tx<'_> {
    /// Others may write at the same time, so that what is read is locked first.
    pub(super) fn is_shared(&self) -> bool {
        self.sql.is_shared()
    }

    /// Lets nobody else commit entries of the ledger, or what comes with them, until
    /// this transaction ends: what is read then is one state.
    pub(super) fn lock_log(&mut self) -> Result<(), StoreError> {
        self.sql.lock_log()
    }
}

impl Sql for Tx<'_> {
    fn exec(&mut self, sql: &'static str, params: &[Val]) -> Result<u64, StoreError> {
        self.sql.exec(sql, params)
    }

    fn query(&mut self, sql: &'static str, params: &[Val]) -> Result<Vec<Row>, StoreError> {
        self.sql.query(sql, params)
    }

    fn update(&mut self, update: &Update, params: &[Val]) -> Result<Option<Row>, StoreError> {
        self.sql.update(update, params)
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.sql.batch(sql)
    }
}

trait Job: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;
    fn reply(&mut self, outcome: Result<(), StoreError>);
}

struct Typed<T, F> {
    work: F,
    made: Option<T>,
    reply: Option<oneshot::Sender<Result<T, StoreError>>>,
}

impl<T: Send, F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send> Job for Typed<T, F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let made = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)));
        self.made = Some(made.unwrap_or_else(|_| Err(StoreError::Statement("a job panicked".to_owned())))?);
        Ok(())
    }

    fn reply(&mut self, outcome: Result<(), StoreError>) {
        let answer = outcome.and_then(|()| self.made.take().ok_or_else(|| StoreError::Statement("a job made nothing".to_owned())));
        if let Some(reply) = self.reply.take() {
            // The caller may have gone away; what was committed stands all the same.
            let _ = reply.send(answer);
        }
    }
}

/// Hands jobs to the one writing thread of this process.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    commits: watch::Receiver<u64>,
    events: watch::Receiver<u64>,
    stopped: Arc<AtomicBool>,
    /// How long messages are collected, in milliseconds; below 0: none are sent.
    collect: Arc<AtomicI64>,
}

impl Writer {
    /// Starts the writing thread on a connection of its own.
    pub fn start(engine: Arc<dyn Engine>, ids: Arc<Ids>, names: Names, stale_months: u32) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(4096);
        let (committed, commits) = watch::channel(0);
        let (announced, events) = watch::channel(0);
        let stopped = Arc::new(AtomicBool::new(false));
        let collect = Arc::new(AtomicI64::new(-1));
        let conn = engine.connect()?;
        let thread = WriterThread {
            engine,
            conn,
            ids,
            names,
            stale_months,
            committed,
            announced,
            stopped: stopped.clone(),
            collect: collect.clone(),
        };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.serve(jobs))
            .map_err(|e| StoreError::Unavailable(e.to_string()))?;
        Ok(Self { queue, commits, events, stopped, collect })
    }

    /// Runs `work` in a transaction that others may share, and answers after the
    /// commit. `work` may run more than once; only its last run counts.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        if self.stopped.load(Ordering::Acquire) {
            return Err(StoreError::Stopped);
        }
        let (reply, answer) = oneshot::channel();
        let job = Typed { work, made: None, reply: Some(reply) };
        let gone = || StoreError::Unavailable("the writer has stopped".to_owned());
        self.queue.send(Box::new(job)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// From now on workers are to be told what concerns them, so long after the first
    /// of it.
    pub fn tell_workers(&self, collect: Duration) {
        self.collect.store(i64::try_from(collect.as_millis()).unwrap_or(i64::MAX), Ordering::Release);
    }

    /// Changes with every commit of this process.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// Changes with every commit of this process that holds events.
    pub fn event_commits(&self) -> watch::Receiver<u64> {
        self.events.clone()
    }
}

struct WriterThread {
    engine: Arc<dyn Engine>,
    conn: Box<dyn Connection>,
    ids: Arc<Ids>,
    names: Names,
    stale_months: u32,
    committed: watch::Sender<u64>,
    announced: watch::Sender<u64>,
    stopped: Arc<AtomicBool>,
    collect: Arc<AtomicI64>,
}

impl WriterThread {
    fn serve(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = jobs.blocking_recv() {
            let (mut group, outcome) = self.run_group(first, &mut jobs);
            match outcome {
                Ok(()) => group.iter_mut().for_each(|job| job.reply(Ok(()))),
                Err(StoreError::Unknown(why)) => group.iter_mut().for_each(|job| job.reply(Err(StoreError::Unknown(why.clone())))),
                Err(_) => {
                    for mut job in group {
                        let outcome = self.run_alone(job.as_mut());
                        job.reply(outcome);
                    }
                }
            }
        }
    }

    /// Runs the first job and whatever arrives meanwhile in one transaction.
    fn run_group(&mut self, first: Box<dyn Job>, jobs: &mut mpsc::Receiver<Box<dyn Job>>) -> (Vec<Box<dyn Job>>, Result<(), StoreError>) {
        let mut group = vec![first];
        let outcome = self.attempt(|tx| {
            let started = Instant::now();
            let mut ran = 0;
            loop {
                while ran < group.len() {
                    group[ran].run(tx)?;
                    ran += 1;
                }
                if group.len() >= GROUP_JOBS || started.elapsed() > GROUP_TIME {
                    return Ok(());
                }
                match jobs.try_recv() {
                    Ok(job) => group.push(job),
                    Err(_) => return Ok(()),
                }
            }
        });
        if outcome.is_ok() {
            metrics::histogram!("doorstep_store_group_jobs").record(group.len() as f64);
        }
        (group, outcome)
    }

    fn run_alone(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for attempt in 0..BUSY_TRIES {
            outcome = self.attempt(|tx| job.run(tx));
            match outcome {
                Err(StoreError::Busy) => std::thread::sleep(Duration::from_millis(5 << attempt)),
                _ => break,
            }
        }
        outcome
    }

    /// One transaction: `work`, then the log behind its lock, then the commit.
    fn attempt(&mut self, work: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(StoreError::Stopped);
        }
        if !self.conn.alive() {
            self.conn = self.engine.connect()?;
        }
        let mut log = Log::default();
        let mut books = Books::new(self.stale_months);
        let mut to_tell = ToTell::new(self.collect.load(Ordering::Acquire));
        let conn = self.conn.as_mut();
        let outcome = conn.begin().and_then(|()| {
            work(&mut Tx { sql: conn, ids: &self.ids, names: &self.names, log: &mut log, books: &mut books, to_tell: &mut to_tell })?;
            // Before the log's lock, after which nothing may be locked.
            to_tell.write(conn)?;
            books.write(conn, &mut log)?;
            if !log.is_empty() {
                conn.lock_log()?;
                log.write(conn)?;
            }
            conn.commit()
        });
        match &outcome {
            Ok(()) => {
                if log.has_events() {
                    self.announced.send_modify(|n| *n += 1);
                }
                self.committed.send_modify(|n| *n += 1);
            }
            Err(e) => {
                if *e == StoreError::Stopped {
                    tracing::error!("an fsync failed: this process writes no more");
                    self.stopped.store(true, Ordering::Release);
                }
                self.conn.rollback();
            }
        }
        outcome
    }
}
