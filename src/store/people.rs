//! Workers as an office lists them.
//!
//! Promises: what a page costs follows from its region and its length, and not from how
//! many people other regions have.

use super::cells::within;
use super::engine::bulk::Bulk;
use super::engine::{Row, Sql, StoreError, Val, params};
use super::workers::{WorkerFile, columns, file};
use super::{Store, access};
use crate::domain::id::WorkerId;
use crate::domain::region::Region;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How a list of workers is narrowed.
#[derive(Clone, Debug)]
pub struct WorkerFilter {
    pub region: Region,
    /// `seeking`, `working`, `paused`; none: all.
    pub state: Option<WorkerState>,
    pub after: Option<WorkerId>,
    pub limit: i64,
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// Looking and not paused.
    Seeking,
    /// Not looking.
    Working,
    Paused,
}

impl WorkerState {
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "seeking" => Some(Self::Seeking),
            "working" => Some(Self::Working),
            "paused" => Some(Self::Paused),
            _ => None,
        }
    }

    fn holds(self, looking: bool, paused: bool) -> bool {
        match self {
            Self::Seeking => looking && !paused,
            Self::Working => !looking,
            Self::Paused => paused,
        }
    }
}

fn fits(state: Option<WorkerState>, looking: bool, paused: bool) -> bool {
    state.is_none_or(|state| state.holds(looking, paused))
}

fn count(s: &mut dyn Sql, f: &WorkerFilter) -> Result<i64, StoreError> {
    static OF_HOMES: Bulk = Bulk::keys(
        "SELECT looking, paused, COUNT(*) FROM workers WHERE erased_at IS NULL AND home IN {list} GROUP BY home, looking, paused",
        0,
    );
    let rows = match within(f.region) {
        Some(homes) => OF_HOMES.query(s, &[], &homes.iter().map(|home| Val::from(home.code())).collect::<Vec<_>>())?,
        None => s.query("SELECT looking, paused, COUNT(*) FROM workers WHERE erased_at IS NULL GROUP BY home, looking, paused", &[])?,
    };
    let mut all = 0;
    for row in &rows {
        all += if fits(f.state, row.flag(0)?, row.flag(1)?) { row.int(2)? } else { 0 };
    }
    Ok(all)
}

const AT_HOME: &str =
    "SELECT id FROM workers WHERE home = $1 AND looking = $2 AND paused = $3 AND erased_at IS NULL AND id > $4 ORDER BY id LIMIT $5";

/// The ids of a page, in order.
fn page(s: &mut dyn Sql, f: &WorkerFilter) -> Result<Vec<Uuid>, StoreError> {
    let after = access::after(f.after.map(WorkerId::uuid));
    let ids = |rows: Vec<Row>| rows.iter().map(|row| row.uuid(0)).collect::<Result<Vec<_>, _>>();
    let homes = match (within(f.region), f.state) {
        (None, None) => {
            let all = "SELECT id FROM workers WHERE erased_at IS NULL AND id > $1 ORDER BY id LIMIT $2";
            return ids(s.query(all, params![after, f.limit])?);
        }
        // Of some state there may be nobody far and wide.
        (some, _) => some.unwrap_or_else(|| Region::all().collect()),
    };
    let mut page: Vec<Uuid> = Vec::new();
    for home in homes {
        for (looking, paused) in [(false, false), (false, true), (true, false), (true, true)] {
            if fits(f.state, looking, paused) {
                page.extend(ids(s.query(AT_HOME, params![home.code(), looking, paused, after.clone(), f.limit])?)?);
            }
        }
    }
    page.sort_unstable();
    page.truncate(usize::try_from(f.limit).unwrap_or(0));
    Ok(page)
}

impl Store {
    /// One page of a region's workers, masked, and how many there are.
    pub async fn workers(&self, f: WorkerFilter) -> Result<(Vec<WorkerFile>, i64), StoreError> {
        static FILES: Bulk = Bulk::keys(columns!("WHERE w.id IN {list}"), 0);
        let vault = self.vault.clone();
        self.read(move |s| {
            let ids: Vec<Val> = page(s, &f)?.into_iter().map(Val::from).collect();
            let files = FILES.query(s, &[], &ids)?.iter().map(|row| file(&vault, row)).collect::<Result<Vec<_>, _>>()?;
            let files: BTreeMap<Uuid, WorkerFile> = files.into_iter().map(|file| (file.id.uuid(), file)).collect();
            Ok((files.into_values().collect(), count(s, &f)?))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::{empty, plan};

    #[test]
    fn people_of_a_county_are_found_and_counted_by_the_index_alone() {
        let (_folder, mut s) = empty();
        let counted =
            "SELECT looking, paused, COUNT(*) FROM workers WHERE erased_at IS NULL AND home IN (1, 2) GROUP BY home, looking, paused";
        for sql in [AT_HOME, counted] {
            let steps = plan(s.as_mut(), sql);
            assert!(steps.len() == 1 && steps[0].starts_with("SEARCH workers USING COVERING INDEX workers_by_home"), "{sql}: {steps:?}");
        }
    }
}
