//! Reports: what the people, hires and offers of the store come to, by place and
//! period.
//!
//! Promises: a figure is a count of distinct persons or of offers; every row of a
//! report belongs to one region, and what is called additive adds up to the totals
//! to the last person.
//! Does not: know who asks (the query is cut to the caller's region when it is
//! read), close or sign a period.
//! Start at: [`report`], [`employment`], [`routing`], [`Report`].

#[cfg(test)]
mod actors;
mod baseline;
mod chart;
pub mod closing;
mod csv;
mod dhis2;
mod draft;
mod employment;
mod flows;
mod gini;
mod html;
mod json;
mod late;
mod months;
mod platforms;
mod public;
mod query;
mod report;
mod routing;
mod sdmx;
mod slots;
mod suppress;
mod table;
mod trend;
pub mod watch;
mod xlsx;

pub use baseline::{Baseline, Baselines, Source};
pub use draft::Draft;
pub use employment::{Rules, employment};
pub use flows::flows;
pub use html::STYLE_HASH;
pub use months::months;
pub use platforms::{Sources, platforms};
pub use public::{Published, Table, locked, period as public_period};
pub use query::{Axis, By, Name, Params, Query, QueryFault, Scope};
pub use report::{AsOf, Column, Corrected, Format, Key, More, Report, Row, Unit, Value};
pub use routing::routing;
pub use rust_xlsxwriter::XlsxError;
pub use suppress::{Sums, suppress};
pub use table::{cells, pad};
pub use trend::{MONTHS, trend};

use crate::domain::region::Region;
use crate::domain::time::Moment;
use crate::store::cells::{Asked, Source as Cells, within};
use crate::store::periods::Lock;
use crate::store::seeking::Seeking;
use crate::store::{Store, StoreError};
use futures_util::future::try_join3;
use jiff::ToSpan;
use jiff::civil::Date;

/// Why there is no report.
#[derive(Debug)]
pub enum ReportFault {
    Query(QueryFault),
    Store(StoreError),
}

impl From<QueryFault> for ReportFault {
    fn from(fault: QueryFault) -> Self {
        ReportFault::Query(fault)
    }
}

impl From<StoreError> for ReportFault {
    fn from(e: StoreError) -> Self {
        ReportFault::Store(e)
    }
}

/// A report as the store stands now, as it stood at the position that is asked for, or,
/// of a period that is closed, as it was locked, for a caller who may see `own` and what
/// lies in it.
pub async fn report(store: &Store, name: Name, params: Params<'_>, own: Region, now: Moment) -> Result<Report, ReportFault> {
    Ok(draft(store, name, params, own, now).await?.report())
}

/// What is to become of this question a [`report`], or the document of one.
pub async fn draft(store: &Store, name: Name, params: Params<'_>, own: Region, now: Moment) -> Result<Draft, ReportFault> {
    let query = Query::parse(params, own)?;
    let day = query.day(now.day())?;
    let Origin { sealed, from, upto } = origin(store, &query).await?;
    let lock = sealed.as_ref().map(|s| &s.lock);
    let of = within(query.scope.bound());
    let mut made = match name {
        Name::Employment => {
            let before = match query.axis {
                Axis::Home => Baselines::of(store, from, upto, of.clone(), query.period).await?,
                Axis::Work => Baselines::default(),
            };
            let sheet = store.sheet_of(from, query.axis, of, Asked::Standing(day, employment::sections(query.by)), query.fine()).await?;
            let asked = query.clone();
            let mut made = aside(move || employment(&sheet, &asked, &Rules::default(), now, &|region| before.get(region))).await?;
            made.head.more.corrections = late::corrections(store, &query, lock, now).await?;
            made
        }
        Name::Flows => {
            query.unsplit()?;
            let sheet = store.sheet_of(from, query.axis, of, Asked::Standing(day, flows::SECTIONS), query.fine()).await?;
            aside(move || flows(&sheet, &query, now)).await?
        }
        Name::Platforms => {
            query.by_home_alone()?;
            let sources = sources(store, &query, from, lock, day).await?;
            aside(move || platforms(&sources, &query, now).into()).await?
        }
        Name::Months => {
            query.by_home_alone()?;
            let people = store.people(upto, query.scope.homes()).await?;
            aside(move || months(&people, &query, day, now).into()).await?
        }
        Name::Routing => {
            query.by_home_alone()?;
            if query.as_of.is_some() {
                // The ledger says nothing of offers.
                return Err(QueryFault::AsOfInvalid.into());
            }
            let seeking = match lock {
                Some(lock) => {
                    let homes = query.scope.homes();
                    let mut counties = store.locked_seeking(query.period, lock.region).await?;
                    counties.retain(|county| homes.contains(&county.home));
                    Seeking { counties, seq: lock.position, at: None, unknown: lock.beside.seeking_unknown }
                }
                None => store.seeking(query.scope.homes(), Moment::start_of(query.period.first_day()), day).await?,
            };
            aside(move || routing(&seeking, &query, now).into()).await?
        }
    };
    if let Some(sealed) = sealed {
        made.head.sealed = true;
        made.head.generated_at = sealed.lock.at;
        made.head.as_of = AsOf { seq: sealed.lock.position, time: sealed.time, root: Some(sealed.checkpoint.root_text()) };
    }
    Ok(made)
}

/// Adds up on a thread that may be busy with it.
async fn aside(make: impl FnOnce() -> Draft + Send + 'static) -> Result<Draft, StoreError> {
    tokio::task::spawn_blocking(make).await.map_err(|e| StoreError::Statement(e.to_string()))
}

/// Where the figures of a question come from.
struct Origin {
    sealed: Option<closing::Sealed>,
    from: Cells,
    /// The ledger's length that counts, where it is not the present.
    upto: Option<i64>,
}

async fn origin(store: &Store, query: &Query) -> Result<Origin, StoreError> {
    if let Some(seq) = query.as_of {
        return Ok(Origin { sealed: None, from: Cells::AsOf(seq), upto: Some(seq) });
    }
    let sealed = closing::sealed(store, query.period, query.scope.bound()).await?;
    let upto = sealed.as_ref().map(|sealed| sealed.lock.position);
    Ok(Origin { from: if sealed.is_some() { Cells::Locked(query.period) } else { Cells::Live }, sealed, upto })
}

async fn sources(store: &Store, query: &Query, from: Cells, lock: Option<&Lock>, day: Date) -> Result<Sources, StoreError> {
    let of = within(query.scope.bound());
    // Offers stand in no ledger: they are counted as they are, or were when it was locked.
    let offers = if matches!(from, Cells::Locked(_)) { from } else { Cells::Live };
    let postings = async {
        match lock {
            Some(lock) => {
                let counts = lock.beside.postings.iter();
                Ok(counts.map(|(platform, category, n, openings)| ((platform.clone(), *category), (*n, *openings))).collect())
            }
            None => store.posting_counts(Moment::start_of(query.period.first_day()), Moment::start_of(day.saturating_add(1.day()))).await,
        }
    };
    // Rows are of no region where none were asked for.
    let fine = if query.level_asked { query.fine() } else { query.of_all() };
    let people = store.sheet_of(from, Axis::Home, of.clone(), Asked::Period(query.period, day, platforms::SECTIONS), fine);
    let offers = store.sheet_of(offers, Axis::Home, of, Asked::Offers(query.period), fine);
    let (people, offers, postings) = try_join3(people, offers, postings).await?;
    Ok(Sources { people, offers, postings })
}
