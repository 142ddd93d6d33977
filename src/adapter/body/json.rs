//! JSON bodies: checked once as a whole, then cut into the text of each record.

use super::{BodyError, MAX_DEPTH, MAX_FIELDS, MAX_RECORD, Piece};
use crate::domain::posting::Fault;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// The records of a body, and what each of them stands in where that counts.
#[derive(Default)]
pub struct Cut {
    pub pieces: Vec<Piece>,
    /// From which piece on, which object, and the member of it that holds the records.
    pub parents: Vec<(usize, Range<usize>, String)>,
}

/// Where the records stand: the first of the pointers that leads to an object (one
/// record) or a list (many). A `*` in a pointer is each item of the list before it.
pub fn cut(text: &str, pointers: &[String]) -> Result<Cut, BodyError> {
    if measure(text).0 > MAX_DEPTH {
        return Err(BodyError::TooDeep);
    }
    for pointer in pointers {
        let found = match pointer.split_once("/*") {
            None => locate(text, pointer)?
                .and_then(|found| records(text, found).transpose())
                .transpose()?
                .map(|pieces| Cut { pieces, parents: Vec::new() }),
            Some((outer, inner)) => nested(text, outer, inner)?,
        };
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Err(BodyError::NoRecords { pointer: pointers.first().cloned().unwrap_or_default() })
}

/// The records that an object, a list or a null is; none where it is something else.
fn records(text: &str, found: &str) -> Result<Option<Vec<Piece>>, BodyError> {
    Ok(match found.as_bytes().first() {
        Some(b'[') => Some(parse::<Vec<&RawValue>>(found)?.into_iter().map(|raw| Ok(range(text, raw.get()))).collect()),
        Some(b'{') => Some(vec![Ok(range(text, found))]),
        Some(b'n') => Some(Vec::new()),
        _ => None,
    })
}

fn nested(text: &str, outer: &str, inner: &str) -> Result<Option<Cut>, BodyError> {
    let Some(list) = locate(text, outer)?.filter(|found| found.starts_with('[')) else { return Ok(None) };
    let member = inner.split('/').nth(1).unwrap_or_default().replace("~1", "/").replace("~0", "~");
    let mut cut = Cut::default();
    for parent in parse::<Vec<&RawValue>>(list)? {
        let parent = parent.get();
        if !parent.starts_with('{') {
            cut.pieces.push(Err("what holds records must be an object"));
            continue;
        }
        if let Some(found) = locate(parent, inner)?
            && let Some(pieces) = records(text, found)?
        {
            cut.parents.push((cut.pieces.len(), range(text, parent), member.clone()));
            cut.pieces.extend(pieces);
        }
    }
    Ok(Some(cut))
}

/// An object without the member that holds its records.
pub fn without(text: &str, member: &str) -> Result<minijinja::Value, Fault> {
    let unreadable = |_| Fault::new("", "unreadable", "what holds this record cannot be read");
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(unreadable)?;
    let mut kept = BTreeMap::new();
    let mut left = MAX_RECORD;
    for (name, value) in members.into_iter().filter(|(name, _)| name != member) {
        let (_, count) = measure(value.get());
        left = left
            .checked_sub(value.get().len())
            .filter(|_| count <= MAX_FIELDS)
            .ok_or_else(|| Fault::new("", "too_long", "what holds this record is larger than one record may be"))?;
        kept.insert(name, serde_json::from_str::<minijinja::Value>(value.get()).map_err(unreadable)?);
    }
    Ok(minijinja::Value::from_pairs(kept))
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
