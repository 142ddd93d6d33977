//! A body through an adapter and the normalizer, as a push takes it.

use doorstep::adapter::{Adapters, Format, Outcome};
use doorstep::domain::normalize;
use std::sync::LazyLock;

static ADAPTERS: LazyLock<Adapters> = LazyLock::new(|| Adapters::builtin().expect("the shipped adapters are sound"));

pub fn read(adapter: &str, format: Format, body: &[u8]) {
    let today = doorstep::domain::time::parse_date("2020-06-01").expect("a date");
    let adapter = ADAPTERS.get(adapter).expect("a shipped adapter");
    if let Ok(records) = adapter.read_as(format, body) {
        for record in records {
            if let Outcome::Mapped(value) = record.outcome {
                let _ = normalize::posting(&value, today);
            }
        }
    }
}
