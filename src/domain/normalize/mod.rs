//! Text to meaning.

pub mod region;
