//! What tests publish and whom they register: drafts with sensible defaults.
//! Nobody here can be a real person: every id number has the sequence 000.

use doorstep::domain::person::check_character;
use jiff::ToSpan;
use jiff::civil::date;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

static SERIAL: AtomicU32 = AtomicU32::new(0);

fn serial() -> u32 {
    SERIAL.fetch_add(1, Ordering::Relaxed)
}

/// A posting to be published.
#[derive(Clone, Debug)]
pub struct PostingDraft(Value);

/// An on-site posting in Yinzhou, Ningbo, for anybody, with one opening.
pub fn a_posting() -> PostingDraft {
    let n = serial();
    PostingDraft(json!({
        "source_id": format!("P-{n}"), "title": format!("外卖骑手 {n}"), "category": "delivery_rider",
        "job_location": {"region": "330212"}, "base_salary": {"text": "5000-8000元/月"},
        "hiring_organization": {"name": format!("示例配送站 {n}"), "kind": "platform"},
        "total_job_openings": 1, "date_posted": "2020-06-01", "valid_through": "2020-12-31",
    }))
}

impl PostingDraft {
    pub fn openings(self, n: u32) -> Self {
        self.with("total_job_openings", json!(n))
    }

    pub fn source_id(self, id: &str) -> Self {
        self.with("source_id", json!(id))
    }

    /// Sets any field.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.0[field] = value;
        self
    }

    pub fn json(&self) -> Value {
        self.0.clone()
    }
}

/// A person to be registered.
#[derive(Clone, Debug)]
pub struct Person(Value);

/// An invented person at home in a county, who would go to any province.
pub fn in_region(county: &str) -> Person {
    let n = serial();
    let birth = date(1970, 1, 1) + i64::from(n % 9_000).days();
    // Beyond 9,000 people the place of first registration tells them apart.
    let place = 522_601 + n / 9_000;
    let digits = format!("{place}{}000", birth.strftime("%Y%m%d"));
    let id_number = format!("{digits}{}", check_character(&digits).expect("17 digits"));
    Person(json!({
        "id_number": id_number, "name": format!("虚构·测试{n}"), "phone": format!("100000{n:05}"), "home_region": county,
        "consent": "2020-05-01", "tier": "not_lifted", "tier_since": "2020-01-01", "destinations": ["*"], "seeking_since": "2020-06-01",
    }))
}

impl Person {
    /// A row of a registry, as it stands.
    pub fn of(row: Value) -> Self {
        Self(row)
    }

    /// Sets any field.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.0[field] = value;
        self
    }

    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        self.0.clone()
    }
}
