//! `doorstep check`: every problem at once, exit 1 if there is any.

use super::{Outcome, settings};
use crate::app;
use crate::cache::Limits;
use crate::config::Config;
use crate::config::feeds::Auth;
use crate::config::keys::Keys;
use crate::notify::channel;
use crate::outbound::Outbound;
use crate::store::ids::Ids;
use crate::store::{Opening, Store};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub fn run(file: Option<PathBuf>) -> Outcome {
    let config = match settings(file) {
        Ok(config) => config,
        Err(failure) => {
            println!("config    {}", failure.0);
            // What can be looked at without a configuration still is.
            check_adapters(&Config::defaults());
            return Ok(ExitCode::FAILURE);
        }
    };
    println!("config    ok");
    let parts = [check_keys(&config), check_adapters(&config), check_feeds(&config), check_channels(&config), check_cache(&config)?];
    Ok(if parts.iter().all(|ok| *ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The keys, and with them the store.
fn check_keys(config: &Config) -> bool {
    if config.keys.file.is_empty() {
        println!("keys      keys.file is not set; `doorstep keys init FILE` makes one");
        println!("store     not looked at: it cannot be read without keys");
        return false;
    }
    let keys = match Keys::load(Path::new(&config.keys.file)) {
        Ok(keys) => Arc::new(keys),
        Err(problems) => {
            problems.iter().for_each(|p| println!("keys      {p}"));
            println!("store     not looked at: it cannot be read without keys");
            return false;
        }
    };
    println!("keys      ok");
    match Store::open(Opening {
        url: &config.store.url,
        readers: 1,
        keys,
        ids: Arc::new(Ids::from_os()),
        stale_months: config.report.stale_months,
        serve: false,
    }) {
        Ok(store) => println!("store     ok: {}", store.engine_name()),
        Err(e) => {
            println!("store     {e}");
            return false;
        }
    }
    true
}

fn check_adapters(config: &Config) -> bool {
    let adapters = match app::adapters(config) {
        Ok(adapters) => adapters,
        Err(problems) => {
            println!("adapters  {problems}");
            return false;
        }
    };
    let problems: Vec<_> = adapters.iter().flat_map(|a| a.check()).collect();
    problems.iter().for_each(|p| println!("adapters  {p}"));
    if problems.is_empty() {
        println!("adapters  ok: {}", adapters.names().collect::<Vec<_>>().join(" "));
    }
    problems.is_empty()
}

fn check_feeds(config: &Config) -> bool {
    let Ok(adapters) = app::adapters(config) else { return true };
    let problems = crate::poll::problems(&Outbound::new(config), &adapters, config);
    problems.iter().for_each(|p| println!("feeds     {p}"));
    for feed in &config.feed.pull {
        let open = if matches!(feed.auth, Auth::None) { ", asked without a secret" } else { "" };
        println!("feeds     {}: {} by {} every {}s{open}", feed.name(), feed.platform, feed.adapter, feed.every.as_secs());
    }
    problems.is_empty()
}

/// The channels to workers and the gateways that hand in replies.
fn check_channels(config: &Config) -> bool {
    let mut problems = channel::channels(config, &Outbound::new(config)).err().unwrap_or_default();
    problems.extend(config.notify.replies.iter().filter_map(|r| r.key().err()));
    problems.iter().for_each(|p| println!("messages  {p}"));
    for c in &config.notify.channel {
        println!("messages  {}: {}", c.name, c.medium.code());
    }
    if config.notify.channel.is_empty() {
        println!("messages  none are sent: no [[notify.channel]]");
    }
    problems.is_empty()
}

fn check_cache(config: &Config) -> Result<bool, super::Failure> {
    let limits = match Limits::new(config) {
        Ok(limits) => limits,
        Err(e) => {
            println!("cache     {e}");
            return Ok(false);
        }
    };
    let answer = super::with_runtime(async move { limits.ping().await })?;
    match &answer {
        None => println!("cache     ok: memory"),
        Some(Ok(())) => println!("cache     ok: redis"),
        Some(Err(e)) => println!("cache     {e}"),
    }
    Ok(!matches!(answer, Some(Err(_))))
}
