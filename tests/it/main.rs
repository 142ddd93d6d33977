//! One test binary: what the outside sees.

mod adapters;
mod batches;
mod erasure;
mod harness;
mod journey;
mod limits;
mod normalize;
mod seats;
mod store;
mod tenants;
mod tokens;
mod webhooks;
