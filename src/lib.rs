//! doorstep: a gateway between platform companies that have work, registered
//! workers from poor areas who look for it, and the offices that must see what
//! came of it.
//!
//! The floors, lowest first; a module may use the floors below it, never above:
//! 0 [`domain`] [`threads`] · 1 [`clock`] [`config`] [`adapter`] [`store`] [`cache`] [`inflate`] ·
//! 2 [`ingest`] [`routing`] [`hiring`] [`reporting`] [`webhook`] ·
//! 3 [`http`] [`poll`] [`deliver`] [`notify`] [`outbound`] · [`app`], [`demo`], [`bench`] and [`cli`] put
//! them together.
#![deny(unsafe_code)]

pub mod adapter;
pub mod app;
pub mod bench;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod deliver;
pub mod demo;
pub mod domain;
pub mod hiring;
pub mod http;
pub mod inflate;
pub mod ingest;
pub mod notify;
pub mod outbound;
pub mod poll;
pub mod progress;
pub mod reporting;
pub mod routing;
pub mod scratch;
pub mod store;
pub mod threads;
pub mod webhook;
