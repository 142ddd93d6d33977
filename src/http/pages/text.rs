//! The words of the pages: one flat table for each language, of two files of `text/`.

use minijinja::value::Kwargs;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    Zh,
    En,
}

type Table = BTreeMap<String, String>;

static TABLES: LazyLock<[Table; 2]> = LazyLock::new(|| {
    [
        concat!(include_str!("text/zh.toml"), include_str!("text/desk_zh.toml")),
        concat!(include_str!("text/en.toml"), include_str!("text/desk_en.toml")),
    ]
    .map(|text| toml::from_str(text).expect("the tables are compiled in and a test reads them"))
});

impl Lang {
    pub const ALL: [Lang; 2] = [Lang::Zh, Lang::En];

    /// `en`, else Chinese.
    pub fn parse(code: &str) -> Self {
        if code.eq_ignore_ascii_case("en") { Lang::En } else { Lang::Zh }
    }

    /// The value of the `lang` attribute.
    pub fn tag(self) -> &'static str {
        match self {
            Lang::Zh => "zh-CN",
            Lang::En => "en",
        }
    }

    /// The words under a key; none where this language has none.
    pub fn get(self, key: &str) -> Option<&'static str> {
        TABLES[self as usize].get(key).map(String::as_str)
    }

    /// The words under a key that both tables have.
    pub fn text(self, key: &str) -> &'static str {
        self.get(key).unwrap_or("–")
    }

    /// The words with `{name}` filled in.
    pub fn with(self, key: &str, values: &[(&str, &str)]) -> String {
        values.iter().fold(self.text(key).to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

/// Whether the pages have words under this key.
pub fn has(key: &str) -> bool {
    Lang::Zh.get(key).is_some()
}

/// `t("key", name=value)` of the templates.
pub fn t(lang: Lang, key: &str, values: &Kwargs) -> Result<String, minijinja::Error> {
    let missing = || minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, format!("no words under {key:?}"));
    let mut text = lang.get(key).ok_or_else(missing)?.to_owned();
    for name in values.args() {
        text = text.replace(&format!("{{{name}}}"), &values.get::<minijinja::Value>(name)?.to_string());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_keys_and_places_to_fill() {
        // Chinese names of provinces and reasons stand in their own records.
        let shared = |t: &Table| {
            let own = |k: &&String| !k.starts_with("province_") && !k.starts_with("reason_");
            t.keys().filter(own).cloned().collect::<Vec<_>>()
        };
        assert_eq!(shared(&TABLES[0]), shared(&TABLES[1]));
        let places = |text: &str| {
            let mut found: Vec<&str> = text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            found.sort_unstable();
            found.iter().map(|s| s.to_string()).collect::<Vec<_>>()
        };
        for key in shared(&TABLES[0]) {
            assert_eq!(places(Lang::Zh.text(&key)), places(Lang::En.text(&key)), "{key}");
        }
    }

    #[test]
    fn everything_that_is_told_by_its_code_has_words() {
        use crate::domain::category::Category;
        use crate::domain::hire::Flow;
        use crate::domain::offer::OfferState;
        use crate::domain::region::{Level, Region};
        use crate::domain::worker::Tier;
        use crate::http::pages::offer::DECLINES;
        use crate::http::pages::worker::NOTICES;
        use crate::reporting::By;
        let mut keys: Vec<String> = Category::ALL.iter().map(|c| format!("category_{}", c.code())).collect();
        keys.extend(Tier::ALL.iter().map(|t| format!("tier_{}", t.code())));
        keys.extend(Flow::ALL.iter().map(|f| format!("flow_{}", f.code())));
        keys.extend(OfferState::ALL.iter().filter(|s| !s.unanswered()).map(|s| format!("state_{}", s.code())));
        keys.extend(Level::ALL.iter().map(|l| format!("level_{}", l.code())));
        keys.extend(By::ALL.iter().map(|b| format!("by_{}", b.code())));
        keys.extend(DECLINES.iter().map(|d| format!("decline_{d}")));
        keys.extend(NOTICES.iter().map(|(code, _)| format!("done_{code}")));
        keys.extend(Region::NATION.children().iter().map(|p| format!("province_{p}")));
        for key in keys {
            assert!(Lang::En.get(&key).is_some(), "{key}");
        }
    }
}
