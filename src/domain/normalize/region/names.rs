//! Every spelling of every division, made from the tables by rule.

use crate::domain::region::{Level, RETIRED, Region};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::LazyLock;

/// `config/tables/region_words.toml`.
#[derive(Deserialize)]
pub struct Words {
    pub nowhere: Vec<String>,
    pub not_after: Vec<String>,
    pub yet_after: Vec<String>,
    alias: HashMap<String, String>,
}

pub static WORDS: LazyLock<Words> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../config/tables/region_words.toml"))
        .expect("region_words.toml is compiled in and a test reads it")
});

pub static NAMES: LazyLock<Names> = LazyLock::new(Names::build);

/// A name found at the beginning of a text.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    pub region: Region,
    /// Bytes of the name.
    pub len: usize,
    /// Whether the name has its kind with it (鄞州区), so that no street bears it.
    pub full: bool,
}

#[derive(Clone, Copy)]
struct Named {
    region: Region,
    full: bool,
    /// Names of today win over those of the past and those made for short forms.
    past: bool,
    /// Needs a place above it in the text: 城区, 光明新区 for 光明区.
    bound: bool,
}

/// Spelling → who bears it.
pub struct Names {
    by_name: HashMap<String, Vec<Named>>,
    /// The longest spelling that begins with this character, in characters.
    longest: HashMap<char, usize>,
}

/// Peoples in the names of autonomous divisions, as they may end the short name.
const PEOPLES: [&str; 57] = [
    "壮族",
    "回族",
    "满族",
    "苗族",
    "侗族",
    "彝族",
    "土家族",
    "藏族",
    "羌族",
    "白族",
    "傣族",
    "哈尼族",
    "佤族",
    "拉祜族",
    "布朗族",
    "傈僳族",
    "独龙族",
    "怒族",
    "普米族",
    "纳西族",
    "景颇族",
    "布依族",
    "水族",
    "仡佬族",
    "瑶族",
    "毛南族",
    "仫佬族",
    "各族",
    "黎族",
    "畲族",
    "朝鲜族",
    "蒙古族",
    "达斡尔族",
    "鄂温克族",
    "锡伯族",
    "土族",
    "撒拉族",
    "保安族",
    "东乡族",
    "裕固族",
    "哈萨克族",
    "维吾尔族",
    "塔吉克族",
    "柯尔克孜族",
    "阿昌族",
    "德昂族",
    "基诺族",
    "京族",
    "高山族",
    "俄罗斯族",
    "乌孜别克族",
    "维吾尔",
    "哈萨克",
    "蒙古",
    "柯尔克孜",
    "塔吉克",
    "锡伯",
];

/// Kinds, longest first, with what may stand for them in short forms.
const KINDS: [(&str, &[&str]); 13] = [
    ("特别行政区", &[]),
    ("自治区", &["自治区"]),
    ("自治州", &["州", "自治州"]),
    ("自治县", &["县", "自治县"]),
    ("自治旗", &["旗", "自治旗"]),
    ("林区", &[]),
    ("特区", &["区"]),
    ("新区", &["区"]),
    ("地区", &["市"]),
    ("盟", &["市"]),
    ("省", &[]),
    ("市", &[]),
    ("县", &[]),
];

/// Names that say nothing without the city.
const BARE: [&str; 4] = ["城区", "郊区", "矿区", "市区"];

impl Names {
    /// The longest name at the beginning of `text`: among the divisions within
    /// `scope` and those above it, or among all.
    pub fn longest(&self, text: &str, scope: Option<Region>) -> Option<Hit> {
        let most = *self.longest.get(&text.chars().next()?)?;
        let mut ends = [0usize; 24];
        let mut count = 0;
        for (i, c) in text.char_indices().take(most.min(24)) {
            ends[count] = i + c.len_utf8();
            count += 1;
        }
        (1..count).rev().find_map(|i| {
            let bearers = self.by_name.get(&text[..ends[i]])?;
            let named = choose(bearers, scope)?;
            Some(Hit { region: named.region, len: ends[i], full: named.full })
        })
    }

    /// Whether `text` begins with a name that several bear.
    pub fn is_ambiguous(&self, text: &str) -> bool {
        let ends = text.char_indices().map(|(i, c)| i + c.len_utf8()).take(24);
        ends.skip(1).any(|end| {
            let full = |n: &&Named| n.full && !n.bound;
            self.by_name.get(&text[..end]).is_some_and(|b| b.iter().filter(full).count() > 1 || (end == text.len() && b.len() > 1))
        })
    }

    fn build() -> Names {
        let mut names = Names { by_name: HashMap::new(), longest: HashMap::new() };
        for region in Region::all().skip(1) {
            names.spell(region.name(), region, false);
        }
        for row in RETIRED.iter() {
            let ends = row.ends();
            if let [one] = ends[..] {
                names.spell(row.name, one, true);
            }
        }
        for (name, code) in &WORDS.alias {
            if let Some(region) = Region::parse(code) {
                names.add(name.clone(), Named { region, full: name.chars().count() > 2, past: false, bound: false });
            }
        }
        names
    }

    /// Adds a division's name and the short forms of it.
    fn spell(&mut self, name: &'static str, region: Region, past: bool) {
        let bare = BARE.contains(&name);
        self.add(name.to_owned(), Named { region, full: true, past, bound: bare });
        let (stem, stand_ins) = stem(name);
        if stem.chars().count() < 2 {
            return;
        }
        self.add(stem.to_owned(), Named { region, full: false, past, bound: false });
        for kind in stand_ins {
            self.add(format!("{stem}{kind}"), Named { region, full: true, past: true, bound: false });
        }
        if !past && name.ends_with('区') && region.level() == Level::County {
            self.add(format!("{stem}新区"), Named { region, full: true, past: true, bound: true });
        }
    }

    fn add(&mut self, name: String, named: Named) {
        let chars = name.chars().count();
        if let Some(first) = name.chars().next() {
            let longest = self.longest.entry(first).or_default();
            *longest = chars.max(*longest);
        }
        let bearers = self.by_name.entry(name).or_default();
        match bearers.iter_mut().find(|n| n.region == named.region) {
            Some(known) if known.past && !named.past => *known = named,
            Some(_) => {}
            None => bearers.push(named),
        }
    }
}

/// Who is meant by a name: those of today before those of the past, full names
/// before short ones, provinces before cities before counties. None where
/// several are left.
fn choose(bearers: &[Named], scope: Option<Region>) -> Option<Named> {
    let rank = |n: &Named| (n.past, !n.full, if n.full { n.region.level() } else { coarseness(n.region) });
    let mut best: Option<Named> = None;
    let mut tie = false;
    for named in bearers {
        let (inside, above) = match scope {
            Some(scope) => (named.region.is_within(scope), scope.is_within(named.region)),
            None => (!named.bound, false),
        };
        if !inside && !above {
            continue;
        }
        match best {
            Some(b) if rank(&b) < rank(named) => {}
            Some(b) if rank(&b) == rank(named) => tie = true,
            _ => (best, tie) = (Some(*named), false),
        }
    }
    // 吉林省吉林: the city, where the text has said the province already.
    if let (Some(scope), Some(found)) = (scope, best)
        && found.region == scope
        && scope.level() == Level::Province
        && let Some(city) = bearers.iter().find(|n| n.region.parent() == Some(scope) && !n.past && n.full == found.full)
    {
        return Some(*city);
    }
    best.filter(|_| !tie)
}

/// By its short name a county directly under its province ranks with the cities:
/// 朝阳 alone may be the one in 北京.
fn coarseness(region: Region) -> Level {
    match region.level() {
        Level::County if region.prefecture() == Some(region) => Level::Prefecture,
        level => level,
    }
}

/// A name without its kind and its peoples (巍山彝族回族自治县 → 巍山), and what may
/// stand for the kind in short forms.
fn stem(name: &'static str) -> (&'static str, &'static [&'static str]) {
    // 井陉矿区 is not 井陉.
    if name.ends_with("矿区") {
        return (&name[..name.len() - "区".len()], &[]);
    }
    let (mut stem, stand_ins): (&str, &[&str]) = KINDS
        .iter()
        .find_map(|(kind, stand_ins)| {
            // 碑林区 is no forest district.
            let stem = name.strip_suffix(kind).filter(|s| s.chars().count() >= 2)?;
            Some((stem, *stand_ins))
        })
        .or_else(|| Some((name.strip_suffix('区').or_else(|| name.strip_suffix('旗'))?, &[][..])))
        .unwrap_or((name, &[]));
    let whole = stem;
    while let Some(shorter) = PEOPLES.iter().filter_map(|p| stem.strip_suffix(p)).find(|s| s.chars().count() >= 2) {
        stem = shorter;
    }
    // 东乡族自治县: the people's name is the place's.
    if stem == whole && PEOPLES.contains(&stem) {
        stem = stem.strip_suffix('族').unwrap_or(stem);
    }
    (stem, stand_ins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_is_the_name_without_kind_and_peoples() {
        for (name, expected) in [
            ("巍山彝族回族自治县", "巍山"),
            ("黔东南苗族侗族自治州", "黔东南"),
            ("双江拉祜族佤族布朗族傣族自治县", "双江"),
            ("积石山保安族东乡族撒拉族自治县", "积石山"),
            ("东乡族自治县", "东乡"),
            ("鄂温克族自治旗", "鄂温克"),
            ("塔什库尔干塔吉克自治县", "塔什库尔干"),
            ("新疆维吾尔自治区", "新疆"),
            ("内蒙古自治区", "内蒙古"),
            ("管城回族区", "管城"),
            ("浦东新区", "浦东"),
            ("神农架林区", "神农架"),
            ("大兴安岭地区", "大兴安岭"),
            ("锡林郭勒盟", "锡林郭勒"),
            ("克孜勒苏柯尔克孜自治州", "克孜勒苏"),
            ("香港特别行政区", "香港"),
            ("碑林区", "碑林"),
            ("津市市", "津市"),
        ] {
            assert_eq!(stem(name).0, expected, "{name}");
        }
    }

    #[test]
    fn the_words_are_read_and_their_codes_are_current() {
        assert!(WORDS.nowhere.len() > 5 && WORDS.not_after.len() > 5 && WORDS.yet_after.len() == 1);
        for (name, code) in &WORDS.alias {
            assert!(Region::parse(code).is_some(), "{name}");
        }
    }
}
