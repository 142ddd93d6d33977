//! The closed lists of words in a record, and the canonical form of a record.

use crate::domain::pay::Unit;
use crate::domain::posting::{Arrangement, Declared, OrganizationKind};
use serde_json::Value;

/// Where the work is done.
pub fn arrangement(word: &str) -> Option<Arrangement> {
    match word {
        "on_site" => Some(Arrangement::OnSite),
        "in_place" => Some(Arrangement::InPlace),
        _ => None,
    }
}

/// Only the store knows what is filled or expired; said by a platform, both mean
/// that it takes nobody.
pub fn declared(word: &str) -> Option<Declared> {
    match word.to_ascii_lowercase().as_str() {
        "open" => Some(Declared::Open),
        "paused" => Some(Declared::Paused),
        "closed" | "filled" | "expired" => Some(Declared::Closed),
        _ => None,
    }
}

/// What kind of employer.
pub fn kind(word: &str) -> Option<OrganizationKind> {
    match word {
        "platform" => Some(OrganizationKind::Platform),
        "leading_enterprise" => Some(OrganizationKind::LeadingEnterprise),
        "workshop" => Some(OrganizationKind::Workshop),
        "public_welfare" => Some(OrganizationKind::PublicWelfare),
        "other" => Some(OrganizationKind::Other),
        _ => None,
    }
}

/// An ISO 4217 code; any three letters pass, since the list changes.
pub fn currency(word: &str) -> Option<String> {
    (word.len() == 3 && word.bytes().all(|b| b.is_ascii_alphabetic())).then(|| word.to_ascii_uppercase())
}

/// What pay is paid per.
pub fn unit(word: &str) -> Option<Unit> {
    match word.to_ascii_uppercase().as_str() {
        "HOUR" => Some(Unit::Hour),
        "DAY" => Some(Unit::Day),
        "WEEK" => Some(Unit::Week),
        "MONTH" => Some(Unit::Month),
        "YEAR" => Some(Unit::Year),
        "PIECE" => Some(Unit::Piece),
        _ => None,
    }
}

/// schema.org words for the usual Chinese ones; others stay.
pub fn employment_type(word: &str) -> Vec<String> {
    let known = match word {
        "" => return vec![],
        "全职" => "FULL_TIME",
        "兼职" => "PART_TIME",
        "实习" => "INTERN",
        "临时" | "临时工" | "短期工" => "TEMPORARY",
        other => other,
    };
    vec![known.to_owned()]
}

/// 包吃住 and the like as codes; a word of the platform's own stays.
pub fn benefits(text: &str) -> Vec<String> {
    let words = [
        ("lodging", &["包住", "包吃住", "包食宿", "包吃包住", "管吃住", "管住", "宿舍", "住宿", "免费住", "提供车住", "吃住", "食宿"][..]),
        ("meals", &["包吃", "包食", "管吃", "工作餐", "包餐", "餐补", "吃住", "食宿"][..]),
        ("transport", &["班车", "接送", "交通", "车补", "路费"][..]),
        ("training", &["培训"][..]),
    ];
    let mut out: Vec<String> = Vec::new();
    for part in text.split(['、', ',', '，', ';', '；', '/', '|', ' ']).filter(|p| !p.is_empty()) {
        let known = words.iter().filter(|(_, spellings)| spellings.iter().any(|s| part.contains(s)));
        let before = out.len();
        out.extend(known.map(|(code, _)| (*code).to_owned()));
        if out.len() == before {
            out.push(part.to_owned());
        }
    }
    out
}

/// Every name of a record that is read here, in the order of the alphabet.
pub const FIELDS: [&str; 20] = [
    "arrangement",
    "base_salary",
    "category",
    "date_posted",
    "description",
    "employment_type",
    "hiring_organization",
    "job_benefits",
    "job_immediate_start",
    "job_location",
    "occupation",
    "openings_per_county",
    "requirements",
    "source_id",
    "status",
    "target_regions",
    "title",
    "total_job_openings",
    "url",
    "valid_through",
];

/// What a record says, as one text: equal for records that differ only in the
/// order of their members, in nulls, or in members that nothing reads.
pub fn canonical(record: &Value) -> String {
    let mut out = String::with_capacity(1024);
    for name in FIELDS {
        match record.get(name) {
            None | Some(Value::Null) => continue,
            Some(value) => {
                out.push_str(name);
                out.push(':');
                write_canonical(value, &mut out);
                out.push('\n');
            }
        }
    }
    out
}

/// A value as JSON without nulls and with its keys in order, whatever order the
/// map keeps.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut members: Vec<(&String, &Value)> = object.iter().filter(|(_, member)| !member.is_null()).collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (key, member) in members {
                write_text(key, out);
                out.push(':');
                write_canonical(member, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, out),
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// A text with its length before it, so that no two lists of texts read alike.
fn write_text(text: &str, out: &mut String) {
    out.push_str(&text.len().to_string());
    out.push('"');
    out.push_str(text);
}
