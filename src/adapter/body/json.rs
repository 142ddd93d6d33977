//! JSON bodies: checked once as a whole, then cut into the text of each record.

use super::{BodyError, MAX_DEPTH, MAX_FIELDS, Piece};
use crate::domain::posting::Fault;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Where the records stand: the first of the pointers that leads to an object (one
/// record) or a list (many).
pub fn cut(text: &str, pointers: &[String]) -> Result<Vec<Piece>, BodyError> {
    if measure(text).0 > MAX_DEPTH {
        return Err(BodyError::TooDeep);
    }
    for pointer in pointers {
        let Some(found) = locate(text, pointer)? else {
            continue;
        };
        let pieces = match found.as_bytes().first() {
            Some(b'[') => parse::<Vec<&RawValue>>(found)?.into_iter().map(|raw| Ok(range(text, raw.get()))).collect(),
            Some(b'{') => vec![Ok(range(text, found))],
            Some(b'n') => Vec::new(),
            _ => continue,
        };
        return Ok(pieces);
    }
    Err(BodyError::NoRecords { pointer: pointers.first().cloned().unwrap_or_default() })
}

/// The text that a pointer (RFC 6901) leads to.
pub fn locate<'t>(text: &'t str, pointer: &str) -> Result<Option<&'t str>, BodyError> {
    let mut at: &RawValue = parse(text)?;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let found = match at.get().as_bytes().first() {
            Some(b'{') => parse::<HashMap<String, &RawValue>>(at.get())?.remove(&token),
            Some(b'[') => {
                token.parse::<usize>().ok().map(|i| parse::<Vec<&RawValue>>(at.get()).map(|all| all.get(i).copied())).transpose()?.flatten()
            }
            _ => None,
        };
        match found {
            Some(inner) => at = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(at.get()))
}

fn parse<'t, T: serde::Deserialize<'t>>(text: &'t str) -> Result<T, BodyError> {
    serde_json::from_str(text).map_err(|error| BodyError::Json { line: error.line(), column: error.column(), detail: reason(&error) })
}

/// What is wrong, without serde_json's own words, which may quote the text.
pub fn reason(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "the JSON ends too early",
        serde_json::error::Category::Syntax => "this is not JSON",
        _ => "this JSON has another shape than it should",
    }
}

/// Whether a record's text is an object within the bounds.
pub fn bounded(text: &str) -> Result<(), Fault> {
    if !text.starts_with('{') {
        // A broken line is no record of another type.
        let whole = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        return Err(if whole {
            Fault::new("", "invalid_type", "a record must be an object")
        } else {
            Fault::new("", "unreadable", "this is not JSON")
        });
    }
    match measure(text) {
        (depth, _) if depth > MAX_DEPTH => Err(Fault::new("", "unreadable", "nested deeper than 64 levels")),
        (_, members) if members > MAX_FIELDS => Err(Fault::new("", "too_long", "more than 1,000 members")),
        _ => Ok(()),
    }
}

/// The greatest depth and the number of members, without building anything.
fn measure(text: &str) -> (usize, usize) {
    let (mut depth, mut deepest, mut members) = (0usize, 0usize, 0usize);
    let mut bytes = text.as_bytes().iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' => members += 1,
            b'"' => {
                while let Some(inner) = bytes.next() {
                    match inner {
                        b'"' => break,
                        b'\\' => {
                            bytes.next();
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    (deepest, members)
}

/// Where a part that was parsed out of `text` stands in it.
pub fn range(text: &str, part: &str) -> std::ops::Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}
