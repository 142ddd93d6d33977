//! Tables of which a configuration may hold any number, `[[feed]]` and its like.

use super::Problem;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// What such tables have to say.
pub(super) struct Tables {
    /// How they are written: `[[what]]`.
    pub what: &'static str,
    /// What each of them has to say, with something that would do.
    pub required: &'static [(&'static str, &'static str)],
    /// The settings by the first of which one is called.
    pub called: &'static [&'static str],
    /// What is told where one of these is missing, beside that.
    pub missing: &'static [(&'static str, &'static str)],
}

/// Whether something may be called so, in lists, logs and addresses.
pub(super) fn is_plain(name: &str) -> bool {
    (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl Tables {
    /// Reads them as they are written. Each thing that is wrong with one is told, so
    /// each of its settings is read by itself first, beside others that would do.
    pub fn read<T: DeserializeOwned>(&self, written: Vec<Value>, problems: &mut Vec<Problem>) -> Vec<T> {
        let what = self.what;
        let would_do: Table =
            self.required.iter().map(|(name, text)| format!("{name} = {text}\n")).collect::<String>().parse().unwrap_or_default();
        let mut all = Vec::new();
        for (n, value) in (1..).zip(written) {
            let Value::Table(table) = value else {
                problems.push(Problem { place: format!("{what} {n}"), detail: format!("must be a table of its own: [[{what}]]") });
                continue;
            };
            let before = problems.len();
            let called =
                self.called.iter().find_map(|name| table.get(*name)?.as_str()).map_or_else(String::new, |name| format!(" ({name})"));
            let mut tell =
                |setting: &str, detail: String| problems.push(Problem { place: format!("{what} {n}{called}: {setting}"), detail });
            for (name, _) in self.required.iter().filter(|(name, _)| !table.contains_key(*name)) {
                let told = self.missing.iter().find(|(of, _)| of == name).map_or("is missing", |(_, told)| told);
                tell(name, told.to_owned());
            }
            for (name, value) in &table {
                let mut alone = would_do.clone();
                alone.insert(name.clone(), value.clone());
                if let Err(e) = Value::Table(alone).try_into::<T>() {
                    // The message of an unknown one lists those that there are.
                    tell(name, e.message().trim().to_owned());
                }
            }
            if problems.len() == before {
                all.extend(Value::Table(table).try_into::<T>());
            }
        }
        all
    }
}
