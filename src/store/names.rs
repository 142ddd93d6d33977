//! Under which names platforms, and offices on the work axis, know people.
//!
//! Promises: a name stays the same, whatever is restarted or rotated and whichever node
//! is asked; it leads back to the person only for whom it was made; it costs no
//! statement, but in a store that gave random names before they were computed
//! (`given_names`), where those hold for the people who have one.
//! Does not: check that the person is there, or that the platform may speak of them.
//!
//! The key stands in `meta`, sealed with a field key, and is never replaced: without it
//! platforms would meet everybody anew. A node that starts with another present field
//! key seals it again, so that the former may go. A node of a version that made names at
//! random must not run beside this one: the table it kept them in has another name now,
//! so that whatever would name a person fails there, rather than give them a second one.

use super::Store;
use super::engine::bulk::Bulk;
use super::engine::{Connection, Sql, StoreError, Val, params};
use super::ids::Ids;
use super::vault::{Place, Vault};
use crate::domain::id::{Pseudonym, WorkerId};
use crate::domain::pseudonym::{self, PseudonymKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use uuid::Uuid;

const PLACE: Place<'static> = Place { table: "meta", row: Uuid::nil(), column: "pseudonym_key" };

/// The names of a store, cheap to clone.
#[derive(Clone)]
pub struct Names {
    key: Arc<PseudonymKey>,
    /// Those towards platforms and offices that were asked for before: their keys
    /// cost more than a name.
    towards: Arc<RwLock<HashMap<String, Arc<pseudonym::Names>>>>,
    /// Some people have names that were given at random.
    given: bool,
}

impl Names {
    /// Those of a store, which gets its key if it has none.
    pub(super) fn open(s: &mut dyn Connection, vault: &Vault, ids: &Ids) -> Result<Self, StoreError> {
        let sealed = |bytes: &str| STANDARD.encode(vault.seal(PLACE, bytes, ids));
        let missing = || StoreError::Corrupt("the key of the pseudonyms".to_owned());
        const KEPT: &str = "SELECT value FROM meta WHERE name = 'pseudonym_key'";
        if s.one(KEPT, &[])?.is_none() {
            let fresh = Zeroizing::new(ids.bytes::<32>());
            let text = sealed(&Zeroizing::new(STANDARD.encode(*fresh)));
            s.exec("INSERT INTO meta (name, value) VALUES ('pseudonym_key', $1) ON CONFLICT (name) DO NOTHING", params![text])?;
        }
        // Another node may have been first: what stands there holds.
        let row = s.one(KEPT, &[])?.ok_or_else(missing)?;
        let stored = STANDARD.decode(row.text(0)?).map_err(|_| missing())?;
        let text = Zeroizing::new(vault.open(PLACE, &stored)?);
        let mut key = Zeroizing::new([0; 32]);
        if STANDARD.decode_slice(text.as_bytes(), &mut *key) != Ok(key.len()) {
            return Err(missing());
        }
        if !vault.is_of_present_key(&stored) {
            s.exec("UPDATE meta SET value = $2 WHERE name = 'pseudonym_key' AND value = $1", params![row.text(0)?, sealed(&text)])?;
        }
        // Nothing is added to them any more, so that this is asked once.
        let given = s.one("SELECT 1 FROM given_names LIMIT 1", &[])?.is_some();
        Ok(Self { given, ..Self::new(&key) })
    }

    /// Those that a key makes, none of them given at random.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { key: Arc::new(PseudonymKey::new(key)), towards: Arc::default(), given: false }
    }

    fn towards(&self, whom: &str) -> Arc<pseudonym::Names> {
        if let Some(names) = self.towards.read().unwrap_or_else(PoisonError::into_inner).get(whom) {
            return names.clone();
        }
        let names = Arc::new(self.key.towards(whom));
        self.towards.write().unwrap_or_else(PoisonError::into_inner).insert(whom.to_owned(), names.clone());
        names
    }

    /// The name of a person towards a platform or office.
    pub(super) fn of(&self, s: &mut dyn Sql, whom: &str, worker: WorkerId) -> Result<Pseudonym, StoreError> {
        if self.given {
            let sql = "SELECT pseudonym FROM given_names WHERE platform = $1 AND worker = $2";
            if let Some(row) = s.one(sql, params![whom, worker.uuid()])? {
                return row.uuid(0).map(Pseudonym::new);
            }
        }
        Ok(self.towards(whom).name(worker))
    }

    /// Those of several, in their order.
    pub(super) fn of_all(&self, s: &mut dyn Sql, whom: &str, workers: &[WorkerId]) -> Result<Vec<Pseudonym>, StoreError> {
        static GIVEN: Bulk = Bulk::keys("SELECT worker, pseudonym FROM given_names WHERE platform = $1 AND worker IN {list}", 1);
        let mut given = HashMap::new();
        if self.given {
            let ids: Vec<Val> = workers.iter().map(|w| w.uuid().into()).collect();
            for row in GIVEN.query(s, params![whom], &ids)? {
                given.insert(WorkerId::new(row.uuid(0)?), Pseudonym::new(row.uuid(1)?));
            }
        }
        let made = self.computed(whom, workers);
        Ok(workers.iter().zip(made).map(|(worker, made)| given.get(worker).copied().unwrap_or(made)).collect())
    }

    fn computed(&self, whom: &str, workers: &[WorkerId]) -> Vec<Pseudonym> {
        let towards = self.towards(whom);
        workers.iter().map(|worker| towards.name(*worker)).collect()
    }

    /// Whose name this would be at a platform or office. Whether somebody has this id is
    /// for the caller to ask: that a name was made up shows in that nobody has.
    pub(super) fn worker(&self, s: &mut dyn Sql, whom: &str, name: Pseudonym) -> Result<Option<WorkerId>, StoreError> {
        if self.given {
            let sql = "SELECT worker FROM given_names WHERE platform = $1 AND pseudonym = $2";
            if let Some(row) = s.one(sql, params![whom, name.uuid()])? {
                return row.uuid(0).map(|id| Some(WorkerId::new(id)));
            }
        }
        Ok(self.towards(whom).worker(name))
    }
}

impl Store {
    /// The names of people towards a platform or office, in their order.
    pub async fn pseudonyms(&self, whom: String, workers: Vec<WorkerId>) -> Result<Vec<Pseudonym>, StoreError> {
        let names = self.names.clone();
        if !names.given {
            return Ok(names.computed(&whom, &workers));
        }
        self.read(move |s| names.of_all(s, &whom, &workers)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::Row;

    /// A database that must not be asked.
    struct Unasked;

    impl Sql for Unasked {
        fn exec(&mut self, sql: &'static str, _: &[Val]) -> Result<u64, StoreError> {
            panic!("{sql}")
        }
        fn query(&mut self, sql: &'static str, _: &[Val]) -> Result<Vec<Row>, StoreError> {
            panic!("{sql}")
        }
        fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
            panic!("{sql}")
        }
    }

    #[test]
    fn a_computed_name_costs_no_statement() {
        let (names, ids) = (Names::new(&[7; 32]), Ids::seeded(1));
        let workers = [WorkerId::new(ids.v4()), WorkerId::new(ids.v4())];
        let all = names.of_all(&mut Unasked, "p", &workers).unwrap();
        for (worker, name) in workers.iter().zip(all) {
            assert_eq!(names.of(&mut Unasked, "p", *worker), Ok(name));
            assert_eq!(names.worker(&mut Unasked, "p", name), Ok(Some(*worker)));
            assert_ne!(names.worker(&mut Unasked, "q", name), Ok(Some(*worker)));
        }
    }
}
