//! doorstep: a gateway between platform companies that have work, registered
//! workers from poor areas who look for it, and the offices that must see what
//! came of it.
//!
//! The floors, lowest first; a module may use the floors below it, never above:
//! 0 [`domain`] · 1 [`config`] [`adapter`] [`store`] [`cache`] ·
//! 2 [`ingest`] [`routing`] [`hiring`] [`reporting`] [`webhook`] ·
//! 3 [`http`] [`deliver`] [`outbound`] · [`app`] and [`cli`] put them together.
#![deny(unsafe_code)]

pub mod config;
pub mod demo;
pub mod domain;
pub mod reporting;
pub mod store;
