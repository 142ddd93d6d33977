//! What platforms write to what it means: places, wages, trades, dates,
//! requirements.
//!
//! Promises: pure; every figure is the text's own or absent with a warning, never
//! guessed; one bad record says all that is wrong with it.
//! Start at: [`posting`], [`row`].

pub mod category;
pub mod dates;
mod fields;
pub mod pay;
mod posting;
pub mod region;
pub mod requirements;
mod words;

pub use category::{occupation, read as category};
pub use pay::read as pay;
pub use posting::read as posting;
pub use region::read as region;
pub use words::{FIELDS, canonical};

/// The state of the rules and word tables here, noted in frozen tags.
pub const RULE_VERSION: &str = "2020-11.2";

/// Text as the word tables are written: full-width forms plain, capitals small,
/// marks without width gone, `AI 训练师` closed up.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{FF01}'..='\u{FF5E}' => {
                let narrow = char::from_u32(c as u32 - 0xFEE0).unwrap_or(c);
                out.push(narrow.to_ascii_lowercase());
            }
            '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{FEFF}' => {}
            c if c.is_control() => out.push(' '),
            c if c.is_whitespace() => {
                let latin_before = out.ends_with(|b: char| b.is_ascii_alphanumeric());
                let chinese_after = chars.peek().is_some_and(|a| !a.is_ascii() && a.is_alphabetic());
                if !(latin_before && chinese_after) {
                    out.push(' ');
                }
            }
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// Reads every table of words and names, which the first posting would wait for.
pub fn warm() {
    let (category, _) = category::read("保洁员", "");
    let _ = category::occupation(category, "保洁员");
    // A name of today, one of the past, one that takes the page's help.
    for (text, context) in [("浙江省宁波市鄞州区", ""), ("上海卢湾", ""), ("鼓楼区", "南京")] {
        let _ = region::read(text, context);
    }
}

/// One row of `doorstep normalize`: what the texts of a posting come to.
pub fn row(title: &str, salary_text: &str, region_text: &str, context: &str) -> serde_json::Value {
    let (category, confidence) = category::read(title, "");
    let place = region::read(region_text, context);
    let wage = pay::read(salary_text);
    let mut warnings: Vec<&str> = place.warning.into_iter().chain(wage.warnings).collect();
    if requirements::restricts_sex(title) {
        warnings.push("sex_restriction_dropped");
    }
    if requirements::speaks_of_fraud(title) {
        warnings.push("fraud_words");
    }
    serde_json::json!({
        "category": category,
        "category_confidence": confidence,
        "region": place.region,
        "base_salary": wage.pay,
        "warnings": warnings,
    })
}
