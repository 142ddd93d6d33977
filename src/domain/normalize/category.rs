//! Titles to categories.
//!
//! Promises: the rule that stands at the head of
//! `config/tables/category_words.toml`; nothing is learned, so a title has the
//! same category in every release with the same table.
//! Start at: [`read`].

use super::plain;
use crate::domain::category::Category;
use crate::domain::posting::Occupation;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::LazyLock;

/// How sure a category is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Nothing in the texts says what the work is.
    None,
    /// The title ends as the names of works do (…工), and nobody knows this one.
    Ending,
    /// The description says it, the title does not.
    Description,
    /// The title names a trade or a place that roles of several kinds share.
    Hint,
    /// The title names the role.
    Role,
}

#[derive(Deserialize)]
struct File {
    mask: Vec<String>,
    decoy: Vec<String>,
    category: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    code: String,
    roles: Vec<String>,
    trades: Vec<String>,
    hints: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    Mask,
    Decoy,
    Role(Category),
    Trade(Category),
    Hint(Category),
}

/// Words by their first character, the longest first.
struct Words(HashMap<char, Vec<(String, Sense)>>);

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../../../config/tables/category_words.toml"))
        .expect("category_words.toml is compiled in and a test reads it");
    let mut words: HashMap<char, Vec<(String, Sense)>> = HashMap::new();
    let mut add = |word: String, sense| {
        if let Some(first) = word.chars().next() {
            words.entry(first).or_default().push((word, sense));
        }
    };
    file.mask.into_iter().for_each(|w| add(w, Sense::Mask));
    file.decoy.into_iter().for_each(|w| add(w, Sense::Decoy));
    for entry in file.category {
        let category = Category::parse(&entry.code).unwrap_or(Category::Other);
        entry.roles.into_iter().for_each(|w| add(w, Sense::Role(category)));
        entry.trades.into_iter().for_each(|w| add(w, Sense::Trade(category)));
        entry.hints.into_iter().for_each(|w| add(w, Sense::Hint(category)));
    }
    words.values_mut().for_each(|list| list.sort_by_key(|(w, _)| std::cmp::Reverse(w.len())));
    Words(words)
});

/// Tells the category of a posting by its title, and by the description where
/// the title says nothing.
pub fn read(title: &str, text: &str) -> (Category, Confidence) {
    let title = plain(title);
    if let Some(found) = by_title(&title) {
        return found;
    }
    match by_description(text) {
        Some(category) => (category, Confidence::Description),
        None if ends_as_work(&title) => (Category::Factory, Confidence::Ending),
        None => (Category::Other, Confidence::None),
    }
}

/// 工 that says how somebody is employed, or is no person at all.
const NO_WORK: [&str; 26] = [
    "员工",
    "社工",
    "义工",
    "职工",
    "特工",
    "美工",
    "施工",
    "加工",
    "完工",
    "用工",
    "招工",
    "零工",
    "打工",
    "人工",
    "化工",
    "开工",
    "复工",
    "务工",
    "小时工",
    "临时工",
    "正式工",
    "长期工",
    "短期工",
    "合同工",
    "派遣工",
    "民工",
];

/// Whether a segment is the name of a work: 染色工 and its like are too many to be
/// listed, and nearly all of them are a factory's.
fn ends_as_work(title: &str) -> bool {
    title
        .split(parts)
        .any(|segment| segment.ends_with('工') && segment.chars().count() > 2 && !NO_WORK.iter().any(|w| segment.ends_with(w)))
}

fn by_title(title: &str) -> Option<(Category, Confidence)> {
    let (mut roles, mut trades, mut hint) = (Heads::default(), Heads::default(), None);
    let mut at = 0;
    while let Some(c) = title[at..].chars().next() {
        if parts(c) && !joins_latin(title, at) {
            roles.end_segment();
            trades.end_segment();
            at += c.len_utf8();
            continue;
        }
        let mut masked = None;
        for (word, sense) in WORDS.at(title, at) {
            match sense {
                Sense::Mask => {
                    masked = Some(word.len());
                    break;
                }
                Sense::Decoy => return Some((Category::Other, Confidence::Role)),
                Sense::Role(category) => roles.see(at, word.len(), *category),
                Sense::Trade(category) => trades.see(at, word.len(), *category),
                Sense::Hint(category) => hint = hint.or(Some(*category)),
            }
        }
        at += masked.unwrap_or(c.len_utf8());
    }
    roles.end_segment();
    trades.end_segment();
    let role = roles.decided.map(|c| (c, Confidence::Role));
    role.or(trades.decided.or(hint).map(|c| (c, Confidence::Hint)))
}

/// The words of one kind in a title: the first segment that has any decides, and
/// in it the one that ends last.
#[derive(Default)]
struct Heads {
    decided: Option<Category>,
    /// The end and length of the last word of this segment.
    last: Option<(usize, usize, Category)>,
}

impl Heads {
    fn see(&mut self, at: usize, len: usize, category: Category) {
        if self.last.is_none_or(|(end, longest, _)| (at + len, len) > (end, longest)) {
            self.last = Some((at + len, len, category));
        }
    }

    fn end_segment(&mut self) {
        let last = self.last.take().map(|(_, _, category)| category);
        self.decided = self.decided.or(last);
    }
}

/// The trade whose roles a description names most often, twice at least; a
/// description names many things in passing.
fn by_description(text: &str) -> Option<Category> {
    let text = plain(text);
    let mut counts = [0u16; Category::ALL.len()];
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let hit = WORDS.at(&text, at).next();
        if let Some((_, Sense::Role(category) | Sense::Trade(category))) = hit {
            counts[*category as usize] += 1;
        }
        at += hit.map_or(c.len_utf8(), |(word, _)| word.len());
    }
    let trades = Category::ALL.into_iter().filter(|c| *c != Category::Other);
    let best = trades.max_by_key(|c| (counts[*c as usize], std::cmp::Reverse(*c)))?;
    (counts[best as usize] >= 2 && counts[best as usize] >= counts[Category::Other as usize]).then_some(best)
}

/// A space between two Latin words: `delivery driver` is one segment, whose head
/// stands last.
fn joins_latin(title: &str, at: usize) -> bool {
    let before = title[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    before && title[at..].strip_prefix(' ').is_some_and(|after| after.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Where a title's segments part.
fn parts(c: char) -> bool {
    (c.is_ascii_punctuation() && !matches!(c, '.' | '#' | '\''))
        || c == ' '
        || matches!(
            c,
            '、' | '，'
                | '。'
                | '；'
                | '：'
                | '！'
                | '？'
                | '【'
                | '】'
                | '《'
                | '》'
                | '“'
                | '”'
                | '—'
                | '–'
                | '·'
                | '➕'
                | '…'
                | '|'
        )
}

impl Words {
    /// The words that stand at this place, the longest first. Latin words stand
    /// whole only (a plural s is let pass).
    fn at<'a>(&'a self, text: &'a str, at: usize) -> impl Iterator<Item = &'a (String, Sense)> {
        let rest = &text[at..];
        let list = rest.chars().next().and_then(|c| self.0.get(&c)).map_or(&[][..], Vec::as_slice);
        list.iter().filter(move |(word, _)| {
            let Some(after) = rest.strip_prefix(word.as_str()) else {
                return false;
            };
            // 土木工程 is not 木工.
            if word.ends_with('工') && after.starts_with(['程', '艺', '具', '业', '信', '控', '商', '序']) {
                return false;
            }
            if !word.starts_with(|c: char| c.is_ascii_alphanumeric()) || !word.is_ascii() {
                return true;
            }
            let after = after.strip_prefix('s').unwrap_or(after);
            !after.starts_with(|c: char| c.is_ascii_alphanumeric()) && !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric())
        })
    }
}

struct Trade {
    gb: &'static str,
    isco08: &'static str,
    category: Category,
    usual: bool,
    titles: Vec<&'static str>,
}

static TRADES: LazyLock<Vec<Trade>> = LazyLock::new(|| {
    include_str!("../../../config/tables/occupations.csv")
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let [gb, isco08, category, usual, name, titles] = fields[..] else {
                return None;
            };
            let mut titles: Vec<&str> = titles.split('|').collect();
            titles.push(name);
            Some(Trade { gb, isco08, category: Category::parse(category)?, usual: usual == "yes", titles })
        })
        .collect()
});

/// The codes of the trade: by the longest usual title in the posting's, else the
/// usual one of its category. None where the category is too wide for one.
pub fn occupation(category: Category, title: &str) -> Option<Occupation> {
    if category == Category::Other {
        return None;
    }
    let title = plain(title);
    let named = |t: &Trade| t.titles.iter().filter(|n| title.contains(**n)).map(|n| n.len()).max();
    TRADES
        .iter()
        .filter(|t| t.category == category)
        .filter_map(|t| Some((named(t)?, t)))
        .max_by_key(|(len, _)| *len)
        .map(|(_, t)| t)
        .or_else(|| TRADES.iter().find(|t| t.category == category && t.usual))
        .map(|t| Occupation { gb: Some(t.gb.to_owned()), isco08: Some(t.isco08.to_owned()) })
}

#[cfg(test)]
mod tests;
