//! Registers invented people, in bulk, as an import does.

use super::people::{Nation, TODAY};
use super::text;
use crate::domain::person::{IdNumber, PersonName, Phone, check_character};
use crate::domain::time::Moment;
use crate::domain::worker::{Registration, Seeker, Wishes};
use crate::progress::Progress;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

/// Registry rows of one transaction.
const ROWS: u32 = 20_000;

/// An invented person with what routing knows of this one.
pub fn registration(s: &Seeker) -> Option<Registration> {
    let birth = s.birth.strftime("%Y%m%d");
    let digits = format!("{}{birth}{:03}", 100_000 + s.handle / 1000, s.handle % 1000);
    let id_number = IdNumber::parse(&format!("{digits}{}", check_character(&digits)?), TODAY).ok()?;
    Some(Registration {
        id_number,
        name: PersonName::parse("示例"),
        phone: Phone::parse(&format!("{}", 10_000_000_000u64 + u64::from(s.handle))),
        home_region: s.home,
        home_since: None,
        consent: Some(TODAY),
        tier: Some(s.tier),
        tier_since: None,
        relocated: None,
        seeking_since: Some(s.seeking_since),
        wishes: Wishes {
            categories: Some(s.categories),
            destinations: Some(s.destinations.clone()),
            in_place_only: Some(s.in_place_only),
            min_monthly_pay: Some(s.min_monthly_pay),
            require_stated_pay: Some(s.require_stated_pay),
            skills: Some(s.skills),
            paused: None,
            looking: Some(s.looking),
        },
    })
}

/// Registers so many of a nation's people, with a progress bar.
pub async fn register(store: &Store, nation: &Arc<Nation>, workers: u32) -> Result<(), String> {
    let progress = Progress::new("workers", u64::from(workers));
    let (slices, mut read) = tokio::sync::mpsc::channel(2);
    let (of, to) = (store.clone(), nation.clone());
    let sealing = tokio::task::spawn_blocking(move || {
        for first in (1..=workers).step_by(ROWS as usize) {
            let people = first..=workers.min(first.saturating_add(ROWS - 1));
            let slice: Option<Vec<_>> = people.map(|n| registration(&to.seeker(n)).map(|row| of.prepare(row))).collect();
            if slices.blocking_send(slice).is_err() {
                return;
            }
        }
    });
    let mut done = 0;
    while let Some(slice) = read.recv().await {
        let slice = slice.ok_or("an invented id number is none")?;
        done += slice.len() as u64;
        store.register_workers(Arc::new(slice), None, Duration::ZERO, Moment::start_of(TODAY)).await.map_err(text)?;
        progress.at(done);
    }
    progress.finish();
    sealing.await.map_err(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_people_can_be_registered() {
        let nation = Nation::new(2026, 0.0);
        assert!((1..500).all(|n| registration(&nation.seeker(n)).is_some()));
    }
}
