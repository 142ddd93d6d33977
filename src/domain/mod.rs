//! Floor 0: what the words mean. No async, no I/O, no clock, no randomness:
//! time, seeds and tables come in as arguments or are compiled in.

pub mod category;
pub mod id;
pub mod normalize;
pub mod pay;
pub mod posting;
pub mod region;
pub mod skill;
