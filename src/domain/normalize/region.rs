//! Names of places to divisions.
//!
//! Promises: the answer is the smallest division that the text names beyond
//! doubt. A development zone or a street without a code is the division that
//! holds it, as far as the text itself names that one; a county's name that
//! several provinces have is nothing without its parent; several places at once
//! are none.
//! Does not: know streets, zones or places abroad.
//! Start at: [`read`].

mod names;

use crate::domain::region::{Level, Region, RegionFault};
use names::{Hit, NAMES, WORDS};

/// What a text of a place was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionReading {
    /// The smallest division named beyond doubt.
    pub region: Option<Region>,
    /// `region_unresolved` where there is a text but no division.
    pub warning: Option<&'static str>,
}

/// Why no division came of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nothing {
    /// No name of a division in it.
    Unnamed,
    /// It says that there is no one place (全国, 异地招聘).
    Nowhere,
    /// A name that several divisions have.
    Ambiguous,
    /// Several places at once.
    Several,
}

/// Reads a place; `context` is the page's own city or province, or empty.
pub fn read(text: &str, context: &str) -> RegionReading {
    let context = if context.trim().is_empty() { None } else { place(context.trim(), None).ok() };
    let text = text.trim();
    let region = match place(text, context) {
        Ok(region) => Some(region),
        Err(Nothing::Unnamed | Nothing::Ambiguous) => context,
        Err(Nothing::Nowhere | Nothing::Several) => None,
    };
    let region = match (region, context) {
        // The page says more than the text: 浙江省 on the page of 嘉兴.
        (Some(region), Some(context)) if context.is_within(region) => Some(context),
        (region, _) => region,
    };
    let unresolved = region.is_none() && !text.is_empty();
    RegionReading { region, warning: unresolved.then_some("region_unresolved") }
}

/// The division that a registry's text names (户籍地): a full path, or one that
/// leaves out or shortens levels.
pub fn resolve_name(text: &str) -> Result<Region, RegionFault> {
    place(text.trim(), None).map_err(|nothing| match nothing {
        Nothing::Unnamed | Nothing::Nowhere => RegionFault::Unknown,
        Nothing::Ambiguous | Nothing::Several => RegionFault::Ambiguous,
    })
}

/// Between the alternatives of a list.
fn parts_list(c: char) -> bool {
    matches!(c, '/' | '、' | ',' | '，' | ';' | '；' | '|' | '｜' | '&' | '+')
}

/// Between the levels of a path.
fn parts_path(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '·' | '・'
                | '•'
                | '‧'
                | '-'
                | '–'
                | '—'
                | '－'
                | '_'
                | '>'
                | '→'
                | '\\'
                | ':'
                | '：'
                | '.'
                | '('
                | ')'
                | '（'
                | '）'
                | '['
                | ']'
                | '【'
                | '】'
        )
}

/// Reads the whole text, within `scope` first where there is one.
fn place(text: &str, scope: Option<Region>) -> Result<Region, Nothing> {
    if text.chars().all(|c| parts_path(c) || parts_list(c)) {
        return Err(Nothing::Unnamed);
    }
    let bare = text.trim_matches(|c| parts_path(c) || parts_list(c));
    if WORDS.nowhere.iter().any(|w| w == bare) {
        return Err(Nothing::Nowhere);
    }
    let mut found: Option<Region> = None;
    let mut doubt = Nothing::Unnamed;
    for group in text.split(parts_list).filter(|g| !g.trim().is_empty()) {
        let Some(first) = found else {
            match path(group, scope) {
                Ok(region) => found = Some(region),
                Err(Nothing::Ambiguous) => doubt = Nothing::Ambiguous,
                Err(_) => {}
            }
            continue;
        };
        match next_in_list(group, first) {
            Next::Finer(region) => found = Some(region),
            Next::Another => return Err(Nothing::Several),
            Next::NoPlace => {}
        }
    }
    if let (None, Nothing::Unnamed) = (found, doubt) {
        return anywhere(text);
    }
    found.ok_or(doubt)
}

enum Next {
    Finer(Region),
    Another,
    NoPlace,
}

/// What a further member of a list adds to the place found so far. Only a
/// member that is a place's name and nothing else makes a second place: streets
/// carry the names of cities.
fn next_in_list(group: &str, first: Region) -> Next {
    let name = group.trim_matches(parts_path);
    if let Some((region, "")) = step(name, Some(first)) {
        return if region == first { Next::NoPlace } else { Next::Finer(region) };
    }
    // A sibling of the first place, or of those above it: 朝阳/海淀.
    let mut above = first.parent();
    while let Some(scope) = above {
        if let Some((region, "")) = step(name, Some(scope)) {
            return if first.is_within(region) { Next::NoPlace } else { Next::Another };
        }
        above = scope.parent().filter(|p| *p != Region::NATION);
    }
    match path_whole(name) {
        Some(region) if first.is_within(region) => Next::NoPlace,
        Some(region) if region.is_within(first) => Next::Finer(region),
        Some(_) => Next::Another,
        None => Next::NoPlace,
    }
}

/// A path that is nothing but names from its beginning to its end.
fn path_whole(text: &str) -> Option<Region> {
    let mut at = None;
    let mut rest = text;
    while !rest.is_empty() {
        let (region, after) = step(rest, at)?;
        at = Some(region);
        rest = after.trim_start_matches(parts_path);
    }
    at
}

/// Reads one path such as `湖北省武汉洪山区东湖新技术开发区` or `上海 徐汇 徐家汇`.
fn path(text: &str, scope: Option<Region>) -> Result<Region, Nothing> {
    let mut at: Option<Region> = None;
    let mut ambiguous = false;
    for segment in text.split(parts_path).filter(|s| !s.is_empty()) {
        let mut rest = segment.strip_prefix("中国").unwrap_or(segment);
        while !rest.is_empty() {
            // The page's own place first; then the text for itself.
            let next = match at {
                Some(at) => step(rest, Some(at)),
                None => step(rest, scope).or_else(|| step(rest, None)),
            };
            let Some((region, after)) = next else {
                ambiguous |= at.is_none() && NAMES.is_ambiguous(rest);
                break;
            };
            at = Some(region);
            rest = after;
        }
    }
    match at {
        Some(region) => Ok(region),
        None if ambiguous => Err(Nothing::Ambiguous),
        None => Err(Nothing::Unnamed),
    }
}

/// Where no segment begins with a name: the first full name of a city, or of a
/// county that only one has, wherever it stands.
fn anywhere(text: &str) -> Result<Region, Nothing> {
    for (i, _) in text.char_indices().skip(1) {
        let rest = &text[i..];
        if let Some(Hit { region, len, full: true }) = NAMES.longest(rest, None)
            && rest[..len].chars().count() >= 3
        {
            let mut at = region;
            let mut rest = &rest[len..];
            while let Some((finer, after)) = step(rest, Some(at)) {
                at = finer;
                rest = after;
            }
            return Ok(at);
        }
    }
    Err(Nothing::Unnamed)
}

/// Reads one name at the beginning of `rest`: within `scope`, or its repetition.
fn step(rest: &str, scope: Option<Region>) -> Option<(Region, &str)> {
    let mut hit = NAMES.longest(rest, scope)?;
    // 青岛市北区 is 市北区 of 青岛.
    let stem = hit.len - '市'.len_utf8().min(hit.len);
    if rest[..hit.len].ends_with('市')
        && let Some(district) = NAMES.longest(&rest[stem..], Some(hit.region))
        && district.full
        && district.region.parent() == Some(hit.region)
    {
        hit.len = stem;
    }
    let after = &rest[hit.len..];
    if !hit.full {
        let alone = after.is_empty() || after.starts_with(|c: char| c.is_ascii_digit());
        let county = hit.region.level() == Level::County;
        if (county && scope.is_none() && !alone) || names_something_else(after) {
            return None;
        }
    }
    let region = match scope {
        // 湖北省武汉武汉…, 石家庄河北省…: what is known already.
        Some(scope) if scope.is_within(hit.region) => scope,
        _ => hit.region,
    };
    Some((region, after))
}

/// Whether what follows a short name makes it a street's or a building's.
fn names_something_else(after: &str) -> bool {
    let begins = |text: &str| {
        WORDS.not_after.iter().any(|w| text.starts_with(w.as_str())) && !WORDS.yet_after.iter().any(|w| text.starts_with(w.as_str()))
    };
    if matches!(after, "镇" | "乡") || begins(after) {
        return true;
    }
    let mut chars = after.chars();
    match chars.next() {
        Some('东' | '西' | '南' | '北' | '中' | '一' | '二' | '三' | '四' | '五' | '六' | '前' | '后' | '新') => {
            ["路", "街", "大道", "大街"].iter().any(|w| chars.as_str().starts_with(w))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
