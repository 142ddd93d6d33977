//! The measurements that the README quotes, on data they make themselves. Rates of
//! one run stand beside each other, since only their ratios mean something on
//! another machine.
//!
//! Promises: everything is measured on the real parts: sockets, adapters, the store
//! that the URL names; what a figure is compared with is done in the same run.

pub mod accept;
pub mod deliver;
pub mod e2e;
mod flow;
mod hired;
pub mod ingest;
mod offered;
#[cfg(feature = "peers")]
pub mod peers;
pub mod people;
mod place;
mod registry;
pub mod reports;
pub mod rosters;
pub mod routing;
mod threads;
mod window;

use std::time::Duration;

/// So many a second.
fn rate(n: usize, took: Duration) -> f64 {
    n as f64 / took.as_secs_f64().max(1e-9)
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// The value below which this share of the sorted ones lies.
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The memory of this process that no file stands behind, in MiB; none where the
/// system does not say.
fn anonymous_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// The load of the machine in the last minute, which says how far to trust a figure.
fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split_whitespace().next().map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&sorted, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&sorted, 1.0), Duration::from_millis(100));
        assert_eq!(percentile(&sorted[..1], 0.99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
