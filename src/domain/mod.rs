//! Floor 0: what the words mean. No async, no I/O, no clock, no randomness:
//! time, seeds and tables come in as arguments or are compiled in.

pub mod account;
pub mod alert;
pub mod category;
pub mod cells;
pub mod client;
pub mod closing;
pub mod eligibility;
pub mod grounds;
pub mod hire;
pub mod id;
pub mod merkle;
pub mod normalize;
pub mod offer;
pub mod pay;
pub mod person;
pub mod posting;
pub mod pseudonym;
pub mod quiet;
pub mod ranking;
pub mod region;
pub mod reply;
pub mod seek;
pub mod skill;
pub mod spells;
pub mod time;
pub mod varint;
pub mod worker;
