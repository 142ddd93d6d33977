//! What is asked of cells, bucket by bucket, and how the pages of places are put together.

use crate::domain::account::number;
use crate::domain::cells::{Bucket, Month, Page, Section, Sections, Sums, days_of, offers_of, whole_of};
use crate::domain::region::{Level, Region};
use crate::domain::time::Period;
use crate::store::StoreError;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What is read of each place.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// Who stands there on a day, and of it these sections.
    Standing(Date, Sections),
    /// What happened there in a period up to a day of it.
    Turns(Period, Date),
    /// Both, for the same day.
    Period(Period, Date, Sections),
    /// The offers made in a period to people at home there.
    Offers(Period),
}

const TURNS: Sections = Sections::of(&[Section::Turn]);

/// What is read of one bucket.
#[derive(Clone, Copy, Debug)]
struct Part {
    bucket: Bucket,
    sections: Sections,
    /// The month that runs, where of what stood in this bucket only some goes on in it.
    into: Option<Month>,
    /// What happened once counts.
    turns: bool,
}

impl Asked {
    /// Each bucket once. Days of a month that runs hold differences of what stands beside
    /// what happened once.
    fn parts(self) -> Vec<Part> {
        let whole = |sections| move |bucket| Part { bucket, sections, into: None, turns: false };
        match self {
            Asked::Standing(day, sections) => {
                let (base, nodes) = days_of(number(day));
                let into = (!nodes.is_empty()).then(|| Month::of(number(day)));
                let base = Part { into, ..whole(sections)(base) };
                [base].into_iter().chain(nodes.into_iter().map(whole(sections))).collect()
            }
            Asked::Turns(period, day) => {
                let (over, nodes) = whole_of(period, number(day));
                over.into_iter().chain(nodes).map(|bucket| Part { turns: true, ..whole(TURNS)(bucket) }).collect()
            }
            Asked::Period(period, day, sections) => {
                let mut parts = Asked::Standing(day, sections.without(TURNS)).parts();
                for of_turns in Asked::Turns(period, day).parts() {
                    match parts.iter_mut().find(|part| part.bucket == of_turns.bucket) {
                        Some(part) => (part.sections, part.turns) = (part.sections.with(TURNS), true),
                        None => parts.push(of_turns),
                    }
                }
                parts
            }
            Asked::Offers(period) => offers_of(period).into_iter().map(whole(Sections::of(&[Section::Offer]))).collect(),
        }
    }

    /// Reads each bucket and hands on what counts of its pages.
    fn pages(
        self,
        mut each: impl FnMut(Bucket, Sections, &mut dyn FnMut(Region, Page)) -> Result<(), StoreError>,
        mut look: impl FnMut(Region, Page),
    ) -> Result<(), StoreError> {
        for Part { bucket, sections, into, turns } in self.parts() {
            each(bucket, sections, &mut |region, page| {
                look(region, if let Some(month) = into { page.into_month(month, turns) } else { page })
            })?;
        }
        Ok(())
    }

    /// Puts the pages together, so finely.
    pub(super) fn read(
        self,
        fine: Fine,
        each: impl FnMut(Bucket, Sections, &mut dyn FnMut(Region, Page)) -> Result<(), StoreError>,
    ) -> Result<Vec<(Region, Page)>, StoreError> {
        let mut out: BTreeMap<Region, Page> = BTreeMap::new();
        if let Fine::Places = fine {
            self.pages(each, |place, page| match out.entry(place) {
                Entry::Vacant(place) => drop(place.insert(page)),
                Entry::Occupied(mut place) => place.get_mut().merge(&page),
            })?;
        } else {
            let mut sums: BTreeMap<Region, Sums> = BTreeMap::new();
            self.pages(each, |place, page| sums.entry(fine.of(place)).or_default().add(&page))?;
            out = sums.into_iter().map(|(region, sums)| (region, sums.page())).collect();
        }
        out.retain(|_, page| !page.is_empty());
        if let Some((region, _)) = out.iter().find(|(_, page)| page.is_below_nothing()) {
            return Err(StoreError::Corrupt(format!(
                "the cells of {region} count fewer than nobody; `doorstep report --recount` tells where"
            )));
        }
        Ok(out.into_iter().collect())
    }
}

/// How finely places are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fine {
    /// Each by itself.
    Places,
    /// Those of a division of this level are one, by the rule of [`Region::at_level`].
    Level(Level),
    /// All are this one.
    One(Region),
}

impl Fine {
    fn of(self, place: Region) -> Region {
        match self {
            Fine::Places => place,
            Fine::Level(level) => place.at_level(level).unwrap_or(place),
            Fine::One(region) => region,
        }
    }
}
