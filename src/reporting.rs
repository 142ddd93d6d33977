//! Reports: what the people, hires and offers of the store come to, by place and
//! period.
//!
//! Promises: a figure is a count of distinct persons or of offers; every row of a
//! report belongs to one region, and what is called additive adds up to the totals
//! to the last person.
//! Does not: know who asks (the query is cut to the caller's region when it is
//! read), close or sign a period.
//! Start at: [`report`], [`employment`], [`routing`], [`Report`].

mod baseline;
pub mod closing;
mod csv;
mod dhis2;
mod employment;
mod gini;
mod query;
mod report;
mod routing;
mod table;
pub mod watch;
mod xlsx;

pub use baseline::{Baseline, Baselines, Source};
pub use employment::{Rules, employment};
pub use query::{Axis, By, Name, Params, Query, QueryFault, Scope};
pub use report::{AsOf, Column, Corrected, Format, Key, More, Report, Row, Unit, Value};
pub use routing::routing;
pub use rust_xlsxwriter::XlsxError;
pub use table::{cells, pad};

use crate::config::ReportConfig;
use crate::domain::region::Region;
use crate::domain::time::Moment;
use crate::store::{Store, StoreError};

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

/// A report as the store stands now, for a caller who may see `own` and what lies
/// in it.
pub async fn report(
    store: &Store,
    config: &ReportConfig,
    name: Name,
    params: Params<'_>,
    own: Region,
    now: Moment,
) -> Result<Report, ReportFault> {
    let query = Query::parse(params, own)?;
    let day = query.day(now.day())?;
    Ok(match name {
        Name::Employment => {
            let rules = Rules::from(config);
            let before = match query.axis {
                Axis::Home => Baselines::of(store, &rules, query.period.year() - 1).await?,
                Axis::Work => Baselines::default(),
            };
            let mut made = employment(&store.fold(day).await?, &query, &rules, day, now, &|region| before.get(region));
            made.more.corrections = closing::corrections(store, config, &query, now).await?;
            made
        }
        Name::Routing => {
            query.by_home_alone()?;
            let from = Moment::start_of(query.period.first_day());
            routing(&store.seeking(query.scope.homes(), from, day).await?, &query, now)
        }
    })
}
