//! `doorstep serve`: the gateway, until it is told to stop.

use super::{Failure, Outcome, secrets, settings};
use crate::app::{Gateway, Parts, block_on};
use crate::clock::Clock;
use crate::domain::time::Moment;
use crate::store::ids::Ids;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

pub fn run(file: Option<PathBuf>) -> Outcome {
    let config = settings(file)?;
    let keys = secrets(&config)?;
    let clock = match config.clock.now.as_str() {
        "" => Clock::System,
        text => {
            let loopback = config.http.listen.parse::<SocketAddr>().is_ok_and(|a| a.ip().is_loopback());
            if !loopback {
                return Err(Failure("clock.now is for tests and taken only on a loopback listener".to_owned()));
            }
            Clock::starting_at(Moment::parse(text).ok_or("clock.now is no time of RFC 3339")?)
        }
    };
    block_on(async move {
        let parts = Parts { config, keys, clock, ids: Arc::new(Ids::from_os()), background: true };
        let gateway = Gateway::start(parts).await.map_err(Failure)?;
        let engine = gateway.state.store.engine_name();
        tracing::info!(address = %gateway.address, engine, workers = gateway.state.router.known_workers(), "serving");
        println!("doorstep serves http://{} on {engine}", gateway.address);
        gateway.run().await?;
        Ok(ExitCode::SUCCESS)
    })
}
