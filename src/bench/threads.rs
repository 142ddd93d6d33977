//! How the threads of this process share the time, as Linux tells it.

use std::collections::BTreeMap;
use std::time::Instant;

/// Ticks of a second in /proc: USER_HZ, which is 100 on every Linux there is.
const TICKS: f64 = 100.0;

/// A look at the clocks of all threads.
pub struct Threads {
    began: Instant,
    ticks: BTreeMap<String, u64>,
}

impl Threads {
    pub fn look() -> Self {
        let mut ticks = BTreeMap::new();
        for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            if let Some((name, used)) = std::fs::read_to_string(task.path().join("stat")).ok().as_deref().and_then(read) {
                *ticks.entry(name).or_default() += used;
            }
        }
        Self { began: Instant::now(), ticks }
    }

    /// The share of one core's time that the threads of each name had since this look,
    /// the busiest first; `nothing known` where the system does not say.
    pub fn shares(&self) -> String {
        let (now, took) = (Self::look(), self.began.elapsed().as_secs_f64().max(1e-9));
        let since = |(name, ticks): (String, u64)| {
            let before = self.ticks.get(&name).copied().unwrap_or(0);
            let share = ticks.saturating_sub(before) as f64 / TICKS / took * 100.0;
            (name, share.round() as u64)
        };
        let mut all: Vec<(String, u64)> = now.ticks.into_iter().map(since).filter(|(_, share)| *share > 0).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let shares: Vec<String> = all.iter().map(|(name, share)| format!("{name} {share} %")).collect();
        if shares.is_empty() { "nothing known".to_owned() } else { shares.join(", ") }
    }
}

/// Name, without its number, and used time of a thread from its `stat` (proc(5)).
fn read(stat: &str) -> Option<(String, u64)> {
    let (before, after) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    Some((before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == ':').to_owned(), user + system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_s_name_and_time_are_read() {
        let stat = "812 (store-reader-3) S 1 812 812 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(read(stat), Some(("store-reader".to_owned(), 300)));
        assert_eq!(read("1 (a (b)) R 1 1 1 0 -1 0 0 0 0 0 7 1 0 0"), Some(("a (b)".to_owned(), 8)));
        assert_eq!(read("nonsense"), None);
    }
}
