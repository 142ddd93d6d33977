//! One test binary: what the outside sees.

mod adapters;
mod batches;
mod counties;
mod crash;
mod erasure;
mod explain;
mod feeds;
mod floors;
mod harness;
mod journey;
mod limits;
mod normalize;
mod pages;
mod polls;
mod pulls;
mod readers;
mod redis;
mod reports;
mod reviews;
mod seats;
mod starts;
mod store;
mod tenants;
mod tokens;
mod webhooks;
mod windows;
