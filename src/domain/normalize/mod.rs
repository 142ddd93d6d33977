//! Text to meaning.

pub mod pay;
pub mod region;
