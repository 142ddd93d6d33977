//! Skills: what work may ask of a person, from `config/skills.toml`.
//!
//! Does not: judge who is eligible (`domain::eligibility`).

use serde::Deserialize;
use std::sync::LazyLock;

/// A skill of `config/skills.toml`. The number is its place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Skill(u8);

#[derive(Deserialize)]
struct File {
    skill: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    code: String,
    zh: String,
    en: String,
    patterns: Vec<String>,
}

static SKILLS: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let file: File =
        toml::from_str(include_str!("../../config/skills.toml")).expect("config/skills.toml is compiled in and a test reads it");
    file.skill
});

impl Skill {
    /// The skill with this code.
    pub fn parse(code: &str) -> Option<Self> {
        SKILLS.iter().position(|s| s.code == code).map(|at| Skill(at as u8))
    }

    /// The name in postings and registries, `health_certificate`.
    pub fn code(self) -> &'static str {
        &self.entry().code
    }

    /// This skill's bit in a mask.
    pub fn bit(self) -> u64 {
        1 << self.0
    }

    /// What a worker reads.
    pub fn title_zh(self) -> &'static str {
        &self.entry().zh
    }

    /// The same in English.
    pub fn title_en(self) -> &'static str {
        &self.entry().en
    }

    /// Every skill, in the order of its number.
    pub fn all() -> impl Iterator<Item = Skill> {
        (0..SKILLS.len() as u8).map(Skill)
    }

    /// The skills that a text of requirements names; `text` is in lower case.
    pub fn read(text: &str) -> Vec<Skill> {
        Self::all().filter(|s| s.entry().patterns.iter().any(|p| text.contains(p.as_str()))).collect()
    }

    fn entry(self) -> &'static Entry {
        &SKILLS[usize::from(self.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_skill_has_a_bit_and_a_code_of_its_own() {
        assert!((20..=64).contains(&Skill::all().count()));
        for skill in Skill::all() {
            assert_eq!(Skill::parse(skill.code()), Some(skill));
            assert_eq!(skill.bit().count_ones(), 1);
            assert!(!skill.title_zh().is_empty() && !skill.title_en().is_empty());
            assert!(skill.entry().patterns.iter().all(|p| !p.is_empty() && *p == p.to_lowercase()));
        }
        assert_eq!(Skill::parse("juggling"), None);
    }

    #[test]
    fn a_text_names_its_skills() {
        let read = |text| Skill::read(text).into_iter().map(Skill::code).collect::<Vec<_>>();
        assert_eq!(read("有健康证，会骑电动车"), ["health_certificate", "e_bike"]);
        assert_eq!(read("持叉车证上岗，会基本电脑操作"), ["forklift_licence", "computer"]);
        assert_eq!(read("吃苦耐劳"), [] as [&str; 0]);
    }
}
