//! What offices signed, locked and stated, compared with the ledger's entries of it.

use crate::domain::closing::{Figure, State};
use crate::domain::region::Region;
use crate::domain::time::Moment;
use crate::store::baselines::Leaf as Stated;
use crate::store::engine::Sql;
use crate::store::periods::digest;
use crate::store::seals::Entry;
use crate::store::{StoreError, region};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The ledger's entry of a signature or a lock.
#[derive(Deserialize)]
struct Act {
    period: String,
    region: Region,
    figure: Figure,
    position: i64,
    revision: String,
    /// Of a lock; entries of older versions have none.
    kept: Option<String>,
}

/// All that the ledger tells of them, each with its time.
#[derive(Default)]
pub(super) struct Acts {
    locks: Vec<(Moment, Act)>,
    /// The last of each period and region.
    signed: BTreeMap<(String, Region), (State, Moment, Act)>,
    stated: BTreeMap<(i16, Region), (Moment, u64)>,
}

impl Acts {
    pub fn enter(&mut self, entry: &Entry<'_>) -> Result<(), StoreError> {
        let corrupt = |_| StoreError::Corrupt(format!("entry {} of the ledger", entry.seq));
        let at = Moment::from_ms(entry.at);
        if entry.kind == "baseline" {
            let stated: Stated = serde_json::from_str(entry.leaf).map_err(corrupt)?;
            self.stated.insert((stated.year, stated.region), (at, stated.total));
            return Ok(());
        }
        let Some(state) = State::parse(entry.kind) else { return Ok(()) };
        let act: Act = serde_json::from_str(entry.leaf).map_err(corrupt)?;
        if state == State::Locked {
            self.locks.push((at, act));
        } else {
            self.signed.insert((act.period.clone(), act.region), (state, at, act));
        }
        Ok(())
    }

    /// Where what is kept differs from what the ledger tells.
    pub fn differ(self, s: &mut dyn Sql) -> Result<Vec<String>, StoreError> {
        let Acts { locks, signed, stated } = self;
        Ok([differ_in_locks(s, locks)?, differ_in_signatures(s, signed)?, differ_in_baselines(s, stated)?].concat())
    }
}

/// A line for each part that differs.
fn parts(differences: &mut Vec<String>, name: &str, parts: &[(bool, &str)]) {
    let differ = parts.iter().filter(|(differs, _)| *differs);
    differences.extend(differ.map(|(_, what)| format!("{name}: its {what} differs from the ledger")));
}

fn differ_in_locks(s: &mut dyn Sql, mut told: Vec<(Moment, Act)>) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    let sql = "SELECT period, region, position, revision, at, figures, beside, seeking FROM period_locks ORDER BY period, position, region";
    s.each(sql, &[], &mut |row| {
        let (period, region) = (row.text(0)?, region(row.int(1)?)?);
        let name = format!("locked {period}, {}", region.full_name());
        let Some(at) = told.iter().position(|(_, act)| act.period == period && act.region == region) else {
            differences.push(format!("{name}: the ledger tells of no such lock"));
            return Ok(());
        };
        let (at, act) = told.swap_remove(at);
        let kept = digest([row.text(5)?, row.text(6)?, row.text(7)?]);
        let figures: BTreeMap<String, Figure> = serde_json::from_str(row.text(5)?).unwrap_or_default();
        let figure: Figure = figures.into_values().sum();
        let differs = [
            (act.position != row.int(2)?, "position"),
            (act.revision != row.text(3)?, "table of divisions"),
            (at.ms() != row.int(4)?, "time"),
            (act.figure != figure, "figure"),
            (act.kept.is_some_and(|told| told != kept), "figures of counties, or what stands beside them,"),
        ];
        parts(&mut differences, &name, &differs);
        Ok(())
    })?;
    let gone = |(_, act): &(Moment, Act)| format!("locked {}, {}: in the ledger, and not kept", act.period, act.region.full_name());
    differences.extend(told.iter().map(gone));
    Ok(differences)
}

fn differ_in_signatures(s: &mut dyn Sql, mut told: BTreeMap<(String, Region), (State, Moment, Act)>) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    s.each("SELECT period, region, state, figure, position, at FROM periods ORDER BY period, region", &[], &mut |row| {
        let (period, region) = (row.text(0)?.to_owned(), region(row.int(1)?)?);
        let name = format!("signed {period}, {}", region.full_name());
        let Some((state, at, act)) = told.remove(&(period, region)) else {
            differences.push(format!("{name}: the ledger tells of no such signature"));
            return Ok(());
        };
        let figure: Option<Figure> = serde_json::from_str(row.text(3)?).ok();
        let differs = [
            (state.code() != row.text(2)?, "state"),
            (figure != Some(act.figure), "figure"),
            (act.position != row.int(4)?, "position"),
            (at.ms() != row.int(5)?, "time"),
        ];
        parts(&mut differences, &name, &differs);
        Ok(())
    })?;
    let gone = told.keys().map(|(period, region)| format!("signed {period}, {}: in the ledger, and not kept", region.full_name()));
    differences.extend(gone);
    Ok(differences)
}

fn differ_in_baselines(s: &mut dyn Sql, mut told: BTreeMap<(i16, Region), (Moment, u64)>) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    s.each("SELECT year, region, total, at FROM baselines ORDER BY year, region", &[], &mut |row| {
        let (year, region) = (row.int(0)?, region(row.int(1)?)?);
        let name = format!("baseline of {year}, {}", region.full_name());
        let told = i16::try_from(year).ok().and_then(|year| told.remove(&(year, region)));
        let Some((at, total)) = told else {
            differences.push(format!("{name}: the ledger tells of none"));
            return Ok(());
        };
        parts(&mut differences, &name, &[(i64::try_from(total) != Ok(row.int(2)?), "total"), (at.ms() != row.int(3)?, "time")]);
        Ok(())
    })?;
    let gone = told.keys().map(|(year, region)| format!("baseline of {year}, {}: in the ledger, and not kept", region.full_name()));
    differences.extend(gone);
    Ok(differences)
}
