//! Pages with JSON-LD in them: every `<script type="application/ld+json">` is a
//! JSON document of its own.

use super::json::Cut;
use super::{BodyError, json};
use std::ops::Range;

/// The records of all scripts, in the page's order. A script that cannot be read is
/// one reject; a page without any is an error.
pub fn cut(text: &str, pointers: &[String]) -> Result<Cut, BodyError> {
    let mut cut = Cut::default();
    let mut scripts = 0;
    let mut rest = text;
    while let Some(open) = find(rest, "<script") {
        let Some(end) = rest[open..].find('>') else {
            break;
        };
        let (tag, after) = (&rest[open..open + end], &rest[open + end + 1..]);
        let close = find(after, "</script").unwrap_or(after.len());
        rest = &after[close..];
        if find(tag, "application/ld+json").is_none() {
            continue;
        }
        scripts += 1;
        let script = unwrapped(&after[..close]);
        let offset = json::range(text, script).start;
        match json::cut(script, pointers) {
            Ok(found) => {
                let moved = |r: Range<usize>| r.start + offset..r.end + offset;
                let before = cut.pieces.len();
                cut.pieces.extend(found.pieces.into_iter().map(|piece| piece.map(moved)));
                cut.parents.extend(found.parents.into_iter().map(|(first, range, member)| (before + first, moved(range), member)));
            }
            Err(BodyError::TooDeep) => return Err(BodyError::TooDeep),
            Err(_) => cut.pieces.push(Err("this script of the page is not JSON")),
        }
    }
    if scripts == 0 {
        return Err(BodyError::NoRecords { pointer: String::new() });
    }
    Ok(cut)
}

/// The script without the comment or CDATA marks that old pages put around it.
fn unwrapped(script: &str) -> &str {
    let mut inner = script.trim();
    for (open, close) in [("<!--", "-->"), ("//<![CDATA[", "//]]>"), ("<![CDATA[", "]]>")] {
        if let Some(rest) = inner.strip_prefix(open) {
            inner = rest.trim_end().trim_end_matches(close).trim();
        }
    }
    inner
}

/// Where `what` (lower case) begins, in either case of ASCII.
fn find(text: &str, what: &str) -> Option<usize> {
    let first = what.as_bytes().first()?;
    let mut from = 0;
    loop {
        let at = from + text.as_bytes()[from..].iter().position(|byte| byte.eq_ignore_ascii_case(first))?;
        if text.as_bytes()[at..].get(..what.len())?.eq_ignore_ascii_case(what.as_bytes()) {
            return Some(at);
        }
        from = at + 1;
    }
}
