//! PostgreSQL: a row for each person, partial btrees in priority order, the best by
//! `ORDER BY … LIMIT k`.
//!
//! It says every condition and the whole order exactly. The order is a list of columns
//! and expressions instead of one number, since 64 bits without a sign are no type of
//! it. Each posting is a text of its own: a partial index serves only where its
//! condition stands in the text.

use super::{Entry, Peer, born, province_number, wished};
use crate::domain::eligibility::Question;
use crate::domain::ranking::{self, Distance};
use crate::domain::region::Region;
use crate::domain::time::day_number;
use postgres::{Client, NoTls, SimpleQueryMessage};
use std::fmt::Write as _;
use std::io::Write as _;

/// The bits by which ties are broken.
const TIE: u64 = (1 << 40) - 1;

pub struct Relational {
    client: Client,
    schema: String,
}

fn told(e: postgres::Error) -> String {
    // The error itself says no more than that there is one.
    format!("PostgreSQL: {}", e.as_db_error().map_or_else(|| e.to_string(), ToString::to_string))
}

fn mask(numbers: &[usize]) -> u64 {
    numbers.iter().fold(0, |mask, n| mask | 1 << n)
}

/// A line of COPY.
fn line(e: &Entry) -> String {
    let w = &e.seeker;
    let categories = if w.categories == 0 { i64::from(u32::MAX) } else { i64::from(w.categories) };
    let tie = ranking::posting_key(Distance::SameCounty, 63, e.handle, 0) & TIE;
    format!(
        "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{tie}\n",
        e.handle,
        e.fixed,
        e.available,
        w.home.code(),
        province_number(w.home.province()).map_or(-1, |n| n as i64),
        if w.in_place_only { 0 } else { mask(&wished(w)) },
        w.in_place_only,
        categories,
        w.skills as i64,
        w.min_monthly_pay,
        w.require_stated_pay,
        day_number(w.birth)
    )
}

impl Relational {
    /// Loads everybody into a schema of its own.
    pub fn build(url: &str, entries: impl Iterator<Item = Entry>) -> Result<Self, String> {
        let mut client = Client::connect(url, NoTls).map_err(told)?;
        let schema = format!("peers_{}", uuid::Uuid::new_v4().simple());
        let table = format!(
            "CREATE SCHEMA {schema}; SET search_path TO {schema}; SET max_parallel_workers_per_gather = 0; SET jit = off;
             CREATE UNLOGGED TABLE people (handle int, fixed int, available boolean, home int, province int, wished bigint,
               in_place_only boolean, categories bigint, skills bigint, least int, stated boolean, birth int, tie bigint)"
        );
        client.batch_execute(&table).map_err(told)?;
        let mut made = Self { client, schema };
        made.fill(entries)?;
        Ok(made)
    }

    fn fill(&mut self, entries: impl Iterator<Item = Entry>) -> Result<(), String> {
        let mut copy = self.client.copy_in("COPY people FROM STDIN").map_err(told)?;
        for e in entries {
            copy.write_all(line(&e).as_bytes()).map_err(|e| format!("PostgreSQL: {e}"))?;
        }
        copy.finish().map_err(told)?;
        let mut indexes = String::from("CREATE INDEX ON people (home, fixed) WHERE available;");
        for category in crate::domain::category::Category::ALL {
            let _ = write!(indexes, "CREATE INDEX ON people (fixed) WHERE available AND (categories & {}) <> 0;", category.bit());
        }
        self.client.batch_execute(&indexes).and_then(|()| self.client.batch_execute("ANALYZE people")).map_err(told)
    }
}

impl Drop for Relational {
    fn drop(&mut self) {
        if let Err(e) = self.client.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.schema)) {
            println!("the schema {} stays behind: {e}", self.schema);
        }
    }
}

/// The question as a statement.
fn statement(q: &Question, k: usize) -> String {
    let days = born(q);
    let mut sql = format!(
        "SELECT handle FROM people WHERE available AND (categories & {}) <> 0 AND birth BETWEEN {} AND {}",
        q.category,
        days.start(),
        days.end()
    );
    if q.skills != 0 {
        let _ = write!(sql, " AND (skills & {0}) = {0}", q.skills as i64);
    }
    match q.pay {
        Some(pay) => drop(write!(sql, " AND least <= {pay}")),
        None => sql += " AND NOT stated",
    }
    match &q.homes {
        Some(homes) => {
            let codes: Vec<String> = homes.leaves().filter_map(Region::leaf_at).map(|r| r.code().to_string()).collect();
            let _ = write!(sql, " AND home IN ({})", codes.join(","));
        }
        // Work at home that is aimed at nobody.
        None if q.in_place => sql += " AND false",
        None => {}
    }
    let work = q.work.map_or(0, Region::code);
    let province = province_number(q.work.and_then(Region::province));
    if !q.in_place {
        let wished = province.map_or(0u64, |n| 1 << n);
        let _ = write!(sql, " AND NOT in_place_only AND (home = {work} OR (wished & {wished}) <> 0)");
    }
    sql += " ORDER BY fixed, ";
    if !q.in_place {
        let province = province.map_or(-2, |n| n as i64);
        let _ = write!(sql, "CASE WHEN home = {work} THEN 0 WHEN province = {province} THEN 1 ELSE 2 END, ");
    }
    let pay = q.pay.unwrap_or(0);
    let _ = write!(sql, "LEAST(GREATEST({pay} - least, 0) / 100, 63) DESC, tie # {}, handle LIMIT {k}", q.seed & TIE);
    sql
}

impl Peer for Relational {
    fn best(&mut self, q: &Question, k: usize, found: &mut Vec<u32>) -> Result<(), String> {
        for message in self.client.simple_query(&statement(q, k)).map_err(told)? {
            if let SimpleQueryMessage::Row(row) = message {
                let handle = row.get(0).and_then(|text| text.parse().ok());
                found.push(handle.ok_or("PostgreSQL: a handle that is no number")?);
            }
        }
        Ok(())
    }
}
