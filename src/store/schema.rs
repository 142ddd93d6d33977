//! The tables, as a list of migrations that only grows. Times are milliseconds
//! since 1970 in UTC, dates are days since 1970-01-01, flags 0 or 1, regions
//! their code as a number, ids the 16 bytes of a UUID.

mod steps;

use super::books;
use super::engine::{Connection, Sql, StoreError, params};
use steps::*;

/// Applied in order, each once, each in a transaction of its own.
const MIGRATIONS: &[&str] = &[
    FOUNDATION,
    FULL_FEEDS,
    REVIEWS,
    PULLS,
    PULLS_SEEN,
    HISTORY_BY_HANDLE,
    OFFERS_BY_HANDLE,
    COUNTY_SEATS,
    EXPIRIES,
    SHORT,
    MESSAGES,
    ROSTERS,
    WEBHOOKS,
    OLD_CODES,
    SEALS,
    CLOSING,
    BOOKS,
    GIVEN_NAMES,
    SEEKERS,
    OPEN_OFFERS,
    ALERT_FACTS,
    FOUND_BY,
    ANSWERED,
    PLACED_ACCOUNTS,
    ROLL_UPS,
    LISTED,
    PACKED_ACCOUNTS,
    ACCOUNTS_BY_HANDLE,
    LATE_CHANGES,
];

/// What code does after a step, in its transaction.
type Filling = fn(&mut dyn Sql) -> Result<(), StoreError>;
const FILLINGS: &[(&str, Filling)] = &[(PACKED_ACCOUNTS, books::pack_accounts)];

/// Brings the tables up to date; safe when several processes start at once.
pub fn migrate(s: &mut dyn Connection) -> Result<(), StoreError> {
    s.begin()?;
    let ready = s.lock_log().and_then(|()| {
        s.batch("CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY)")?;
        s.commit()
    });
    s.rollback();
    ready?;
    for (number, text) in (1i64..).zip(MIGRATIONS) {
        s.begin()?;
        let step = s.lock_log().and_then(|()| {
            if s.one("SELECT number FROM migrations WHERE number = $1", params![number])?.is_some() {
                return Ok(());
            }
            s.batch(text)?;
            for (_, fill) in FILLINGS.iter().filter(|(step, _)| step == text) {
                fill(s)?;
            }
            s.exec("INSERT INTO migrations (number) VALUES ($1)", params![number])?;
            s.commit()
        });
        s.rollback();
        step?;
    }
    Ok(())
}

/// Whether the tables are those of this version: who only reads brings nothing up to date.
pub fn is_of_today(s: &mut dyn Sql) -> Result<bool, StoreError> {
    let row = s.one("SELECT COUNT(*) FROM migrations", &[])?;
    Ok(row.map_or(Ok(0), |r| r.count(0))? as usize == MIGRATIONS.len())
}

/// An empty store of today, in a folder that goes with it.
#[cfg(test)]
pub fn empty() -> (tempfile::TempDir, Box<dyn Connection>) {
    use super::engine::{Engine, sqlite::Sqlite};
    let folder = tempfile::tempdir().expect("a folder");
    let mut s = Sqlite::new(folder.path().join("empty.db")).connect().expect("a store");
    migrate(s.as_mut()).expect("its tables");
    (folder, s)
}

/// The steps in which the embedded engine runs a statement.
#[cfg(test)]
pub fn plan(s: &mut dyn Connection, sql: &str) -> Vec<String> {
    let plan: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {sql}").into_boxed_str());
    let values = vec![super::engine::Val::from(0); (1..=9).filter(|n| sql.contains(&format!("${n}"))).count()];
    let rows = s.query(plan, &values).expect("a plan");
    rows.iter().map(|row| row.text(3).expect("a step").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::Account;
    use crate::domain::id::OfferId;
    use crate::domain::offer::OfferState;
    use crate::store::engine::{Engine, sqlite::Sqlite};
    use crate::store::offers;

    /// A store that ran all steps before this one.
    fn store_before(step: &str) -> (tempfile::TempDir, Box<dyn Connection>) {
        let folder = tempfile::tempdir().unwrap();
        let mut s = Sqlite::new(folder.path().join("old.db")).connect().unwrap();
        s.batch("CREATE TABLE migrations (number BIGINT PRIMARY KEY)").unwrap();
        for (number, text) in (1i64..).zip(MIGRATIONS.iter().take_while(|text| **text != step)) {
            s.batch(text).unwrap();
            s.exec("INSERT INTO migrations (number) VALUES ($1)", params![number]).unwrap();
        }
        (folder, s)
    }

    #[test]
    fn accounts_of_an_older_store_stand_at_the_home_of_the_last_hire() {
        let (_folder, mut s) = store_before(PLACED_ACCOUNTS);
        let hire = |home: &str, started: &str| {
            format!(
                r#"{{"category":"driver","confirmed_on":null,"flow":"in_county","hired_on":"2020-01-02","home":"{home}","monthly_pay":null,
                "over_on":null,"platform":"p","started_on":{started},"tier_at_hire":"lifted","work":null,"working":[]}}"#
            )
        };
        let id = |n: u32| format!("00000000-0000-7000-8000-00000000000{n}");
        let of = |hires: &[(u32, &str, &str)]| {
            let hires: Vec<String> = hires.iter().map(|(n, home, started)| format!("\"{}\":{}", id(*n), hire(home, started))).collect();
            format!(r#"{{"hires":{{{}}},"tiers":{{}}}}"#, hires.join(","))
        };
        let accounts = [
            of(&[(1, "522624", "\"2020-03-01\""), (2, "330212", "\"2020-02-01\""), (3, "440305", "null")]),
            of(&[(1, "522624", "\"2020-03-01\""), (2, "330212", "\"2020-03-01\"")]),
            of(&[(1, "522624", "null")]),
            String::new(),
        ];
        for (handle, account) in (1i64..).zip(&accounts) {
            let worker = "INSERT INTO workers (id, handle, home, birth, tier, seeking_since, registered_at, updated_at)
                          VALUES ($1, $2, 110101, 0, 'lifted', 0, 1, 1)";
            s.exec(worker, params![vec![handle as u8; 16], handle]).unwrap();
            s.exec("INSERT INTO accounts (handle, account) VALUES ($1, $2)", params![handle, account.as_str()]).unwrap();
        }
        migrate(s.as_mut()).unwrap();
        let rows = s.query("SELECT handle, home, packed, worker FROM accounts ORDER BY handle", &[]).unwrap();
        let homes: Vec<i64> = rows.iter().map(|row| row.int(1).unwrap()).collect();
        assert_eq!(homes, [522_624, 330_212, 522_624, -1]);
        for (row, account) in rows.iter().zip(&accounts) {
            let told = if account.is_empty() { Account::default() } else { serde_json::from_str(account).unwrap() };
            let read = books::account(row.blob(2).unwrap()).unwrap();
            assert_eq!(books::place_of(&read), row.int(1).unwrap(), "as it is computed");
            assert_eq!((&read, row.blob(3).unwrap()[0]), (&told, row.int(0).unwrap() as u8));
        }
        let twice = "INSERT INTO accounts (home, handle, worker, packed) SELECT 1, handle, worker, packed FROM accounts WHERE handle = 1";
        assert!(matches!(s.exec(twice, &[]), Err(StoreError::Constraint(_))), "nobody twice");
    }

    #[test]
    fn accounts_of_an_older_store_are_packed_all_of_them_or_none() {
        let (_folder, mut s) = store_before(PACKED_ACCOUNTS);
        // More than are read at once, at homes that a slice ends within.
        let all = "WITH RECURSIVE n (handle) AS (SELECT 1 UNION ALL SELECT handle + 1 FROM n WHERE handle < 12001)
                   INSERT INTO accounts (home, handle, worker, account)
                   SELECT 110101 + handle % 2, handle, randomblob(16), CASE WHEN handle % 3 = 0 THEN '' ELSE $1 END FROM n";
        s.exec(all, params![r#"{"hires":{},"tiers":{"2020-01-02":"lifted"}}"#]).unwrap();
        s.exec("UPDATE accounts SET account = '{}' WHERE handle = 12001", &[]).unwrap();
        assert_eq!(migrate(s.as_mut()), Err(StoreError::Corrupt("an account".to_owned())));
        s.exec("UPDATE accounts SET account = '' WHERE handle = 12001", &[]).unwrap();
        migrate(s.as_mut()).unwrap();
        let sql = "SELECT COUNT(*), COUNT(DISTINCT handle), SUM(LENGTH(packed) = 0), COUNT(DISTINCT packed) FROM accounts";
        let row = s.one(sql, &[]).unwrap().unwrap();
        assert_eq!([0, 1, 2, 3].map(|at| row.int(at)), [12_001, 12_001, 4_001, 2].map(Ok));
    }

    #[test]
    fn offers_of_an_older_store_stand_as_they_stood() {
        let (_folder, mut s) = store_before(OFFERS_BY_HANDLE);
        s.batch(
            r#"INSERT INTO workers (id, handle, home, birth, tier, seeking_since, registered_at, updated_at) VALUES (x'07', 42, 522624, 0, 'lifted', 0, 1, 1);
            INSERT INTO postings (id, platform, source_id, content, content_hash, group_key, declared, status, closes_at, total_declared,
              openings, created_at, updated_at) VALUES (x'000102030405060708090a0b0c0d0e0f', 'p', 's', '{"title":"t"}', x'00', x'aa', 'open', 'open', 9, 1, 1, 1, 1);
            INSERT INTO offers (id, posting, worker, platform, state, wave, reasons, group_key, offered_at, expires_at, answered_at, updated_at, waiting)
              VALUES (x'100102030405060708090a0b0c0d0e0f', x'000102030405060708090a0b0c0d0e0f', x'07', 'p', 'waitlisted', 3,
              '[{"code":"seeking_days","text":"words of old"}]', x'aa', 5, 6, 7, 8, 1);
            INSERT INTO workers (id, handle, home, birth, tier, seeking_since, registered_at, updated_at) VALUES (x'09', 43, 522624, 0, 'lifted', 0, 1, 1);
            INSERT INTO offers (id, posting, worker, platform, state, wave, reasons, group_key, offered_at, expires_at, answered_at, updated_at)
              VALUES (x'0f', x'000102030405060708090a0b0c0d0e0f', x'09', 'p', 'declined', 3, '[]', x'aa', 5, 6, 7, 8);"#,
        )
        .unwrap();
        migrate(s.as_mut()).unwrap();
        migrate(s.as_mut()).unwrap();
        let sql = "SELECT handle, id, wave, group_key, offered_at, expires_at, answered_at, updated_at FROM offers WHERE closed = 0";
        let row = s.one(sql, &[]).unwrap().unwrap();
        assert_eq!(s.one("SELECT handle FROM offers WHERE closed = 1", &[]).unwrap().unwrap().int(0), Ok(43));
        assert_eq!([row.int(0), row.int(2), row.int(4), row.int(5), row.int(6), row.int(7)], [42, 3, 5, 6, 7, 8].map(Ok));
        // A worker's id is 16 bytes, which this one's is not.
        s.batch("UPDATE offers SET worker = posting").unwrap();
        let offer = offers::by_id(s.as_mut() as &mut dyn Sql, OfferId::new(row.uuid(1).unwrap())).unwrap().unwrap();
        assert_eq!(offer.title, "t", "the posting's, out of its content");
        assert_eq!(s.one("SELECT home FROM offers WHERE handle = 42", &[]).unwrap().unwrap().int(0), Ok(522_624), "the worker's");
        assert_eq!((offer.state, offer.position, offer.reasons()[0].text.as_str()), (OfferState::Waitlisted, Some(1), "words of old"));
        let twice = "INSERT INTO offers (id, posting, handle, worker, platform, state, wave, reasons, group_key, offered_at, expires_at, updated_at)
          SELECT x'11', posting, handle, worker, platform, state, wave, reasons, x'bb', 1, 1, 1 FROM offers WHERE closed = 0";
        assert!(matches!(s.exec(twice, &[]), Err(StoreError::Constraint(_))), "nobody twice");
    }

    #[test]
    fn a_ledger_with_gaps_is_counted_anew_in_its_order_and_forgets_salts_of_nothing() {
        let (_folder, mut s) = store_before(SEALS);
        for (seq, leaf) in [(3, "a"), (9, "c"), (7, "b")] {
            let sql = "INSERT INTO ledger (seq, at, kind, worker, leaf, salt) VALUES ($1, 5, 'tier', $2, $3, $2)";
            s.exec(sql, params![seq, vec![1u8; 16], leaf]).unwrap();
        }
        migrate(s.as_mut()).unwrap();
        let rows = s.query("SELECT seq, leaf, salt FROM ledger ORDER BY seq", &[]).unwrap();
        let read: Vec<_> = rows.iter().map(|r| (r.int(0).unwrap(), r.text(1).unwrap(), r.is_null(2))).collect();
        assert_eq!(read, [(1, "a", true), (2, "b", true), (3, "c", true)]);
    }

    #[test]
    fn an_alert_from_before_facts_keeps_its_words_and_has_none() {
        let (_folder, mut s) = store_before(ALERT_FACTS);
        s.batch("INSERT INTO alerts (id, kind, region, at, detail) VALUES (x'07', 'platform_silent', 0, 1, 'no postings')").unwrap();
        migrate(s.as_mut()).unwrap();
        let row = s.one("SELECT detail, facts FROM alerts", &[]).unwrap().unwrap();
        assert_eq!(row.text(0), Ok("no postings"));
        assert_eq!(crate::domain::alert::Facts::read("platform_silent", row.text(1).unwrap()), None);
    }

    #[test]
    fn buckets_of_an_older_store_are_to_be_rolled_up_and_what_waits_for_them_waits_on() {
        let (_folder, mut s) = store_before(ROLL_UPS);
        let cells = [(48_630i64, 522_624), (48_630, 0), (48_631, 520_302), (1_556_353, 330_106)];
        for (strip, region) in cells {
            s.exec("INSERT INTO cells (cell, page) VALUES ($1, $2)", params![strip * 1_000_000 + region, vec![0u8]]).unwrap();
        }
        s.exec("INSERT INTO additions (strip, counts) VALUES ($1, $2)", params![48_630, vec![7u8]]).unwrap();
        migrate(s.as_mut()).unwrap();
        let rows = s.query("SELECT strip FROM not_rolled_up ORDER BY strip", &[]).unwrap();
        assert_eq!(rows.iter().map(|row| row.int(0).unwrap()).collect::<Vec<_>>(), [48_630, 48_631, 1_556_353]);
        let waits = s.one("SELECT pages FROM additions WHERE strip = 48630", &[]).unwrap().unwrap();
        assert_eq!(waits.blob(0), Ok(&[7u8][..]));
        assert!(s.exec("INSERT INTO additions (strip, counts) VALUES ($1, $2)", params![1, vec![7u8]]).is_err(), "of an older version");
    }

    #[test]
    fn a_store_that_lacks_a_step_is_not_of_today() {
        let (_folder, mut s) = store_before(LATE_CHANGES);
        assert_eq!(is_of_today(s.as_mut()), Ok(false));
        migrate(s.as_mut()).unwrap();
        assert_eq!(is_of_today(s.as_mut()), Ok(true));
        s.batch("INSERT INTO migrations (number) VALUES (1000)").unwrap();
        assert_eq!(is_of_today(s.as_mut()), Ok(false), "one of a later version");
    }

    #[test]
    fn names_given_at_random_are_kept_where_no_older_version_adds_any() {
        let (_folder, mut s) = store_before(GIVEN_NAMES);
        let insert = "INSERT INTO pseudonyms (platform, worker, pseudonym) VALUES ('p', $1, $2)";
        s.exec(insert, params![vec![1u8; 16], vec![2u8; 16]]).unwrap();
        migrate(s.as_mut()).unwrap();
        let row = s.one("SELECT platform, worker, pseudonym FROM given_names", &[]).unwrap().unwrap();
        assert_eq!((row.text(0), row.blob(1), row.blob(2)), (Ok("p"), Ok(&[1u8; 16][..]), Ok(&[2u8; 16][..])));
        assert!(s.exec(insert, params![vec![3u8; 16], vec![4u8; 16]]).is_err());
    }
}
