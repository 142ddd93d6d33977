//! Reports: what the people and hires of the store come to, by place and period.
//!
//! Promises: a figure is a count of distinct persons, folded from their hires'
//! dated facts; every row of a report belongs to one region, and what is called
//! additive adds up to the totals to the last person.
//! Does not: read the store (`Store::fold` does), know who asks (the query is cut
//! to the caller's region when it is read), close or sign a period.
//! Start at: [`Query::parse`], [`employment`], [`Report`].

mod csv;
mod dhis2;
mod employment;
mod query;
mod report;
mod table;
mod xlsx;

pub use employment::{Rules, employment};
pub use query::{Axis, By, Params, Query, QueryFault, Scope};
pub use report::{AsOf, Column, Format, Key, Report, Row, Unit, Value};
pub use rust_xlsxwriter::XlsxError;
pub use table::{cells, pad};
