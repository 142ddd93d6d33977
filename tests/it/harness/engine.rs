//! The databases under test: a file for each test, or a schema of its own.

use std::sync::mpsc;
use tempfile::TempDir;

/// Where PostgreSQL is, for the tests: `postgres://USER@HOST:PORT/DATABASE`.
const POSTGRES: &str = "DOORSTEP_TEST_POSTGRES";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// Whether the engine can be tested here. Where it cannot, the test says that
    /// it was skipped, or fails if the backends are required.
    pub fn is_here(self) -> bool {
        self == Engine::Sqlite || backend(POSTGRES).is_some()
    }
}

/// What a variable names, or a line that the test was skipped.
pub fn backend(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|v| !v.is_empty());
    if found.is_none() {
        let required = std::env::var("REQUIRE_BACKENDS").is_ok_and(|v| v == "1");
        assert!(!required, "REQUIRE_BACKENDS=1, and {variable} is not set");
        println!("skipped: {variable} is not set");
    }
    found
}

/// A place for one store, gone when it is dropped.
pub struct Place {
    pub url: String,
    pub folder: TempDir,
    /// The server and the schema that is dropped at the end.
    schema: Option<(String, String)>,
}

impl Place {
    pub fn new(engine: Engine) -> Self {
        let folder = tempfile::Builder::new().prefix("doorstep-test-").tempdir().expect("a folder for temporary files");
        match engine {
            Engine::Sqlite => {
                let url = format!("sqlite://{}", folder.path().join("store.db").display());
                Self { url, folder, schema: None }
            }
            Engine::Postgres => {
                let base = backend(POSTGRES).expect("asked for only where the engine is");
                let name = format!("t_{}", uuid::Uuid::new_v4().simple());
                Self { url: format!("{base}?schema={name}"), folder, schema: Some((base, name)) }
            }
        }
    }

    /// Runs statements as somebody with full access to the database.
    pub fn run_sql(&self, sql: &str) {
        match &self.schema {
            None => rusqlite::Connection::open(self.file()).and_then(|db| db.execute_batch(sql)).expect("statements"),
            // The synchronous client must not be used on an async thread.
            Some((base, schema)) => std::thread::scope(|scope| {
                let run = || postgres::Client::connect(base, postgres::NoTls)?.batch_execute(&format!("SET search_path = {schema}; {sql}"));
                scope.spawn(run).join().expect("a thread").expect("statements");
            }),
        }
    }

    /// The database file of an embedded store.
    pub fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("store.db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((base, name)) = self.schema.take() else { return };
        // The synchronous client must not be used on an async thread.
        let (done, wait) = mpsc::channel();
        std::thread::spawn(move || {
            let dropped = postgres::Client::connect(&base, postgres::NoTls)
                .and_then(|mut client| client.batch_execute(&format!("SET lock_timeout = '5s'; DROP SCHEMA IF EXISTS {name} CASCADE")));
            if let Err(e) = dropped {
                println!("the schema {name} stays behind: {e}");
            }
            let _ = done.send(());
        });
        let _ = wait.recv();
    }
}

/// Makes a test of each story for each engine. A macro, since a function cannot
/// give each test its name.
macro_rules! on_every_engine {
    ($($story:ident),* $(,)?) => {
        mod sqlite {
            $(#[actix_web::test]
            async fn $story() {
                super::$story($crate::harness::Engine::Sqlite).await
            })*
        }
        mod postgres {
            $(#[actix_web::test]
            async fn $story() {
                if $crate::harness::Engine::Postgres.is_here() {
                    super::$story($crate::harness::Engine::Postgres).await
                }
            })*
        }
    };
}
pub(crate) use on_every_engine;
