//! One test binary: what the outside sees.

mod adapters;
mod harness;
mod journey;
mod normalize;
mod pages;
mod store;
