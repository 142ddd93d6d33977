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
mod chart;
mod csv;
mod dhis2;
mod employment;
mod flows;
mod gini;
mod html;
mod months;
mod platforms;
mod public;
mod query;
mod report;
mod routing;
mod sdmx;
mod suppress;
mod table;
mod xlsx;

pub use employment::{Rules, employment};
pub use flows::flows;
pub use html::STYLE_HASH;
pub use months::months;
pub use platforms::{Sources, platforms};
pub use public::{Table, locked, period as public_period, published};
pub use query::{Axis, By, Name, Params, Query, QueryFault, Scope};
pub use report::{AsOf, Column, Format, Key, Report, Row, Unit, Value};
pub use routing::routing;
pub use rust_xlsxwriter::XlsxError;
pub use suppress::{Sums, suppress};
pub use table::{cells, pad};

use crate::domain::region::Region;
use crate::domain::time::Moment;
use crate::store::cells::{Asked, Source, within};
use crate::store::{Store, StoreError};
use jiff::ToSpan;

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

/// A report as the store stands now, or stood at the position that is asked for, for a
/// caller who may see `own` and what lies in it.
pub async fn report(store: &Store, name: Name, params: Params<'_>, own: Region, now: Moment) -> Result<Report, ReportFault> {
    let query = Query::parse(params, own)?;
    let day = query.day(now.day())?;
    let source = query.as_of.map_or(Source::Live, Source::AsOf);
    let of = within(query.scope.bound());
    Ok(match name {
        Name::Employment => {
            let sheet = store.sheet(source, query.axis, of, Asked::Standing(day)).await?;
            employment(&sheet, &query, &Rules::default(), now, &|_| None)
        }
        Name::Flows => {
            query.unsplit()?;
            flows(&store.sheet(source, query.axis, of, Asked::Standing(day)).await?, &query, now)
        }
        Name::Platforms => {
            query.by_home_alone()?;
            let (from, before) = (Moment::start_of(query.period.first_day()), Moment::start_of(day.saturating_add(1.day())));
            let sources = Sources {
                standing: store.sheet(source, Axis::Home, of.clone(), Asked::Standing(day)).await?,
                turns: store.sheet(source, Axis::Home, of.clone(), Asked::Turns(query.period, day)).await?,
                offers: store.sheet(Source::Live, Axis::Home, of, Asked::Offers(query.period)).await?,
                postings: store.posting_counts(from, before).await?,
            };
            platforms(&sources, &query, now)
        }
        Name::Months => {
            query.by_home_alone()?;
            months(&store.people(query.as_of, query.scope.homes()).await?, &query, day, now)
        }
        Name::Routing => {
            query.by_home_alone()?;
            let from = Moment::start_of(query.period.first_day());
            routing(&store.seeking(query.scope.homes(), from, day).await?, &query, now)
        }
    })
}
