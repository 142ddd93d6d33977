//! What is asked of cells, bucket by bucket, and how the pages of places are put together.

use crate::domain::account::number;
use crate::domain::cells::{Bucket, Month, Page, Section, Sections, Sums, Together, WideSums, days_of, offers_of, whole_of};
use crate::domain::region::{Level, Region};
use crate::domain::time::Period;
use crate::store::StoreError;
use crate::store::books::read_page;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::mpsc::TrySendError;

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

    /// Puts the pages together, so finely. `each` looks at the pages of a bucket.
    pub(super) fn read(self, fine: Fine, each: impl FnMut(Bucket, Look<'_>) -> Result<(), StoreError>) -> Result<Pages, StoreError> {
        let mut pages = match fine {
            Fine::Places => read_all::<Page>(&self.parts(), fine, each)?,
            Fine::One(_) | Fine::Level(Level::Nation | Level::Province) => read_all::<WideSums>(&self.parts(), fine, each)?,
            Fine::Level(_) => read_all::<Sums>(&self.parts(), fine, each)?,
        };
        pages.retain(|(_, page)| !page.is_empty());
        if let Some((region, _)) = pages.iter().find(|(_, page)| page.is_below_nothing()) {
            return Err(StoreError::Corrupt(format!(
                "the cells of {region} count fewer than nobody; `doorstep report --recount` tells where"
            )));
        }
        Ok(pages)
    }
}

/// Takes the page of a place, as the store keeps it.
pub(in crate::store) type Look<'a> = &'a mut dyn FnMut(Region, &[u8]) -> Result<(), StoreError>;

/// Pages by place, in order.
type Pages = Vec<(Region, Page)>;

/// Pages as the store keeps them, one behind the other.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each ends, of which place it is, and what is read of it.
    pages: Vec<(usize, Region, Part)>,
}

/// Bytes from which on a batch is handed on.
const BATCH: usize = 128 * 1024;

struct Adding<S> {
    fine: Fine,
    page: Page,
    sums: BTreeMap<Region, S>,
}

impl<S: Together> Adding<S> {
    fn of(fine: Fine) -> Self {
        Self { fine, page: Page::default(), sums: BTreeMap::new() }
    }

    /// Adds the pages of a batch, which is empty after.
    fn take(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let mut from = 0;
        for (end, place, part) in batch.pages.drain(..) {
            read_page(&mut self.page, &batch.bytes[from..end], part.sections)?;
            from = end;
            if let Some(month) = part.into {
                self.page.go_into(month, part.turns);
            }
            self.sums.entry(self.fine.of(place)).or_default().add(&mut self.page);
        }
        batch.bytes.clear();
        Ok(())
    }
}

/// Reads the parts in one state of the store and puts their pages together, on a second
/// core beside this one where they are many: whichever is free takes the next batch.
fn read_all<S: Together>(
    parts: &[Part],
    fine: Fine,
    mut each: impl FnMut(Bucket, Look<'_>) -> Result<(), StoreError>,
) -> Result<Pages, StoreError> {
    std::thread::scope(|scope| {
        let (mut mine, mut batch) = (Adding::<S>::of(fine), Batch::default());
        let mut beside = None;
        for part in parts {
            each(part.bucket, &mut |region, bytes| {
                batch.bytes.extend_from_slice(bytes);
                batch.pages.push((batch.bytes.len(), region, *part));
                if batch.bytes.len() < BATCH {
                    return Ok(());
                }
                let (give, _) = beside.get_or_insert_with(|| {
                    let (give, taken) = std::sync::mpsc::sync_channel::<Batch>(1);
                    let help = move || {
                        let mut theirs = Adding::<S>::of(fine);
                        taken.into_iter().try_for_each(|mut batch| theirs.take(&mut batch))?;
                        Ok::<_, StoreError>(theirs)
                    };
                    (give, scope.spawn(help))
                });
                match give.try_send(std::mem::take(&mut batch)) {
                    Ok(()) => Ok(()),
                    Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                        batch = back;
                        mine.take(&mut batch)
                    }
                }
            })?;
        }
        mine.take(&mut batch)?;
        if let Some((give, helper)) = beside {
            drop(give);
            let theirs = helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            theirs.sums.into_iter().for_each(|(region, sums)| mine.sums.entry(region).or_default().join(sums));
        }
        Ok(mine.sums.into_iter().map(|(region, sums)| (region, sums.page())).collect())
    })
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
