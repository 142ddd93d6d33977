//! What is asked of cells, bucket by bucket, and how the pages of places are put together.

use crate::domain::account::number;
use crate::domain::cells::{Bucket, Month, Page, Section, Sections, Sums, Together, Which, WideSums, cut, days_of, offers_of, whole_of};
use crate::domain::region::{Level, Region};
use crate::domain::time::Period;
use crate::store::StoreError;
use crate::store::books::no_page;
use crate::threads::{both, joined};
use jiff::civil::Date;
use std::sync::mpsc::{TrySendError, channel, sync_channel};

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
    which: Which,
}

impl Asked {
    /// Each bucket once. Days of a month that runs hold differences of what stands beside
    /// what happened once.
    fn parts(self) -> Vec<Part> {
        let whole = |sections| move |bucket| Part { bucket, which: Which::of(sections) };
        match self {
            Asked::Standing(day, sections) => {
                let (base, nodes) = days_of(number(day));
                let which = if nodes.is_empty() { Which::of(sections) } else { Which::going_into(Month::of(number(day)), sections) };
                [Part { bucket: base, which }].into_iter().chain(nodes.into_iter().map(whole(sections))).collect()
            }
            Asked::Turns(period, day) => {
                let (over, nodes) = whole_of(period, number(day));
                over.into_iter().chain(nodes).map(whole(TURNS)).collect()
            }
            Asked::Period(period, day, sections) => {
                let mut parts = Asked::Standing(day, sections.without(TURNS)).parts();
                for of_turns in Asked::Turns(period, day).parts() {
                    match parts.iter_mut().find(|part| part.bucket == of_turns.bucket) {
                        Some(part) => part.which = part.which.with(TURNS),
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
        match fine {
            Fine::Places => read_all::<Page>(&self.parts(), fine, each),
            _ if fine.is_of_provinces() => read_all::<WideSums>(&self.parts(), fine, each),
            _ => read_all::<Sums>(&self.parts(), fine, each),
        }
    }
}

/// Takes the page of a place, as the store keeps it.
pub(in crate::store) type Look<'a> = &'a mut dyn FnMut(Region, &[u8]) -> Result<(), StoreError>;

/// Pages by place, in order.
type Pages = Vec<(Region, Page)>;

/// What is read of pages, as the store keeps them, one behind the other.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each ends, of which place it is, and what is read of it.
    pages: Vec<(usize, Region, Which)>,
}

/// Bytes from which on a batch is handed on.
const BATCH: usize = 128 * 1024;

/// What pages came to so far, by [`Region::index`].
struct Adding<S> {
    fine: Fine,
    sums: Vec<Option<S>>,
}

impl<S: Together> Adding<S> {
    fn of(fine: Fine) -> Self {
        Self { fine, sums: Vec::new() }
    }

    /// Adds the pages of a batch, which is empty after.
    fn take(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let mut from = 0;
        for (end, place, which) in batch.pages.drain(..) {
            let at = self.fine.of(place).index();
            if self.sums.len() <= at {
                self.sums.resize_with(at + 1, || None);
            }
            let sums = self.sums[at].get_or_insert_default();
            sums.add(&batch.bytes[from..end], which).ok_or_else(no_page)?;
            from = end;
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
                cut(bytes, part.which.sections(), &mut batch.bytes).ok_or_else(no_page)?;
                batch.pages.push((batch.bytes.len(), region, part.which));
                if batch.bytes.len() < BATCH {
                    return Ok(());
                }
                let (give, empty, _) = beside.get_or_insert_with(|| {
                    let (give, taken) = sync_channel::<Batch>(1);
                    let (give_back, empty) = channel::<Batch>();
                    let help = move || {
                        let mut theirs = Adding::<S>::of(fine);
                        for mut batch in taken {
                            theirs.take(&mut batch)?;
                            // Who reads may have come to the end.
                            let _ = give_back.send(batch);
                        }
                        Ok::<_, StoreError>(theirs)
                    };
                    (give, empty, scope.spawn(help))
                });
                match give.try_send(std::mem::take(&mut batch)) {
                    Ok(()) => {
                        batch = empty.try_recv().unwrap_or_default();
                        Ok(())
                    }
                    Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                        batch = back;
                        mine.take(&mut batch)
                    }
                }
            })?;
        }
        mine.take(&mut batch)?;
        let Some((give, _, helper)) = beside else { return whole(0, mine.sums, Vec::new()) };
        drop(give);
        let mut theirs = joined(helper)?.sums;
        let middle = mine.sums.len().max(theirs.len()) / 2;
        let (upper, others) = (mine.sums.split_off(middle.min(mine.sums.len())), theirs.split_off(middle.min(theirs.len())));
        let (pages, upper) = both(|| whole(0, mine.sums, theirs), move || whole(middle, upper, others));
        let mut pages = pages?;
        pages.extend(upper?);
        Ok(pages)
    })
}

/// The pages of the places from this index on, from what both threads added up.
fn whole<S: Together>(first: usize, mine: Vec<Option<S>>, theirs: Vec<Option<S>>) -> Result<Pages, StoreError> {
    let places = mine.len().max(theirs.len());
    let (mut mine, mut theirs) = (mine.into_iter(), theirs.into_iter());
    let mut pages = Vec::with_capacity(places);
    for region in Region::all().skip(first).take(places) {
        let page = match (mine.next().flatten(), theirs.next().flatten()) {
            (Some(mut mine), Some(theirs)) => {
                mine.join(theirs);
                mine.page()
            }
            (Some(sums), None) | (None, Some(sums)) => sums.page(),
            (None, None) => continue,
        };
        if page.is_below_nothing() {
            return Err(StoreError::Corrupt(format!(
                "the cells of {region} count fewer than nobody; `doorstep report --recount` tells where"
            )));
        }
        if !page.is_empty() {
            pages.push((region, page));
        }
    }
    Ok(pages)
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
    /// Whether no province is told apart any finer.
    pub(super) fn is_of_provinces(self) -> bool {
        matches!(self, Fine::One(_) | Fine::Level(Level::Nation | Level::Province))
    }

    fn of(self, place: Region) -> Region {
        match self {
            Fine::Places => place,
            Fine::Level(level) => place.at_level(level).unwrap_or(place),
            Fine::One(region) => region,
        }
    }
}
