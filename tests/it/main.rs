//! Checks of the whole, from outside.

mod adapters;
mod normalize;
