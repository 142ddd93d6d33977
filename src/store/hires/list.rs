//! Hires as an office lists them.

use super::super::engine::bulk::Bulk;
use super::super::engine::{StoreError, Val, params};
use super::super::reports::{corrected, facts};
use super::super::{Store, access, region};
use super::{Hire, columns, hire};
use crate::domain::hire::{Flow, Life};
use crate::domain::id::HireId;
use crate::domain::region::Region;
use crate::domain::time::day_number;
use jiff::civil::Date;
use std::collections::HashMap;
use uuid::Uuid;

/// How a list of hires is narrowed.
#[derive(Clone, Debug)]
pub struct HireFilter {
    pub region: Region,
    /// Where people work instead of where they are registered today.
    pub by_work: bool,
    /// Working on some day from the first to the last; none: every hire.
    pub within: Option<(Date, Date)>,
    pub platform: Option<String>,
    pub flow: Option<Flow>,
    pub stale_months: u32,
    /// Whether a hire is confirmed is told for this day.
    pub today: Date,
    pub after: Option<HireId>,
    pub limit: i64,
}

/// A hire with what the list says beside it.
#[derive(Clone, Debug)]
pub struct ListedHire {
    pub hire: Hire,
    pub confirmed: bool,
}

impl Store {
    /// One page of the hires that fit, and how many there are.
    pub async fn hires(&self, f: HireFilter) -> Result<(Vec<ListedHire>, i64), StoreError> {
        static PAGE: Bulk = Bulk::keys(columns!("WHERE h.id IN {list}"), 0);
        self.read(move |s| {
            let mut fits: Vec<(Uuid, Life)> = Vec::new();
            let sql =
                "SELECT h.id, h.work, w.home, h.start_set, h.end_fixed, h.end_set, h.void FROM hires h JOIN workers w ON w.id = h.worker
                       WHERE w.erased_at IS NULL AND ($1 = '' OR h.platform = $1) AND ($2 = '' OR h.flow = $2)
                         AND ($3 = 0 OR (h.void = 0 AND h.started_on <= $4 AND (h.ended_on IS NULL OR h.ended_on > $5))) ORDER BY h.id";
            let (first, last) = f.within.map_or((0, 0), |(first, last)| (day_number(first), day_number(last)));
            let flow = f.flow.map_or("", Flow::code);
            let asked = params![f.platform.clone().unwrap_or_default(), flow, f.within.is_some(), last, first];
            s.each(sql, asked, &mut |row| {
                let place = if f.by_work { row.opt_int(1)? } else { Some(row.int(2)?) };
                if place.map(region).transpose()?.unwrap_or(Region::NATION).is_within(f.region) {
                    fits.push((row.uuid(0)?, Life { facts: Vec::new(), corrected: corrected(&row, 3)? }));
                }
                Ok(())
            })?;
            static FACTS: Bulk = Bulk::keys("SELECT hire, kind, at, month, seq FROM hire_facts WHERE hire IN {list}", 0);
            if let Some((first, last)) = f.within {
                let keys: Vec<Val> = fits.iter().map(|(id, _)| Val::from(*id)).collect();
                let at: HashMap<Uuid, usize> = fits.iter().enumerate().map(|(n, (id, _))| (*id, n)).collect();
                for row in FACTS.query(s, &[], &keys)? {
                    if let Some(n) = at.get(&row.uuid(0)?) {
                        fits[*n].1.facts.extend(facts(&row)?);
                    }
                }
                fits.retain(|(_, life)| life.worked_within(first, last, f.stale_months));
            }
            let total = fits.len() as i64;
            let after = access::after(f.after.map(HireId::uuid));
            let keys: Vec<Val> = fits.iter().map(|(id, _)| Val::from(*id)).filter(|id| bytes(id) > bytes(&after)).collect();
            let keys = &keys[..keys.len().min(usize::try_from(f.limit).unwrap_or(0))];
            let mut found: HashMap<Uuid, Hire> = HashMap::new();
            for row in PAGE.query(s, &[], keys)? {
                found.insert(row.uuid(0)?, hire(&row)?);
            }
            let mut lives: HashMap<Uuid, Life> = fits.into_iter().filter(|(id, _)| found.contains_key(id)).collect();
            if f.within.is_none() {
                for row in FACTS.query(s, &[], keys)? {
                    if let Some(life) = lives.get_mut(&row.uuid(0)?) {
                        life.facts.extend(facts(&row)?);
                    }
                }
            }
            let mut page: Vec<ListedHire> = found
                .into_iter()
                .map(|(id, hire)| ListedHire { hire, confirmed: lives.get(&id).is_some_and(|life| life.confirmed(f.today)) })
                .collect();
            page.sort_by_key(|listed| listed.hire.id);
            Ok((page, total))
        })
        .await
    }
}

/// The bytes of an id, which sort as the store sorts them.
fn bytes(id: &Val) -> &[u8] {
    match id {
        Val::Blob(bytes) => bytes,
        _ => &[],
    }
}
