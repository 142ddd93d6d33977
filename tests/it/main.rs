//! One test binary: what the outside sees.

mod adapters;
mod normalize;
