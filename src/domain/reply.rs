//! What a worker sends back by phone: a code and a yes or a no, however it is typed.

/// An answer as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which offer it answers; none: the only one.
    pub code: Option<String>,
    pub yes: bool,
}

/// Digits of a code.
pub const CODE: usize = 4;

const YES: [&str; 14] = ["是", "去", "好", "行", "要", "可以", "同意", "接受", "愿意", "好的", "我去", "y", "yes", "ok"];
const NO: [&str; 13] = ["否", "不", "不去", "不要", "不行", "不是", "不可以", "不同意", "不接受", "不愿意", "拒绝", "n", "no"];

impl Reply {
    /// Reads `1234 1`, `1234 是`, `12342`, `１２３４　２`, `1`, `不去`; none where it
    /// says neither yes nor no, or both.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut code, mut yes) = (None, None);
        for word in words(text).iter().map(String::as_str) {
            let (digits, said) = match word.len() {
                _ if !word.bytes().all(|b| b.is_ascii_digit()) => (None, Some(said(word)?)),
                1 => (None, Some(said(word)?)),
                CODE => (Some(word), None),
                n if n == CODE + 1 => (Some(&word[..CODE]), Some(said(&word[CODE..])?)),
                _ => return None,
            };
            let two_codes = digits.is_some_and(|d| code.replace(d.to_owned()).is_some());
            let both = said.is_some_and(|s| yes.replace(s).is_some_and(|was| was != s));
            if two_codes || both {
                return None;
            }
        }
        yes.map(|yes| Reply { code, yes })
    }
}

fn said(word: &str) -> Option<bool> {
    match word {
        "1" => Some(true),
        "2" => Some(false),
        word if YES.contains(&word) => Some(true),
        word if NO.contains(&word) => Some(false),
        _ => None,
    }
}

/// Runs of digits and runs of letters; full-width forms are taken for the plain ones.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = None;
    for c in text.chars().take(100) {
        let c = match c {
            '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
            c => c,
        };
        let c = c.to_ascii_lowercase();
        let kind = if c.is_ascii_digit() { Some(true) } else { c.is_alphabetic().then_some(false) };
        match (kind, words.last_mut()) {
            (None, _) => {}
            (kind, Some(word)) if kind == last => word.push(c),
            _ => words.push(c.to_string()),
        }
        last = kind;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<(Option<String>, bool)> {
        Reply::parse(text).map(|r| (r.code, r.yes))
    }

    #[test]
    fn a_reply_is_read_however_it_is_typed() {
        let coded = |yes| Some((Some("1234".to_owned()), yes));
        for text in [
            "1234 1",
            "1234,1",
            " 1234  1 ",
            "12341",
            "１２３４　１",
            "1234是",
            "1234 去。",
            "去 1234",
            "1234 1 是",
            "1234-YES",
            "1234同意",
        ] {
            assert_eq!(check(text), coded(true), "{text}");
        }
        for text in ["1234 2", "12342", "1234 否", "1234不去", "1234 2 不", "１２３４２", "1234 No"] {
            assert_eq!(check(text), coded(false), "{text}");
        }
        for (text, yes) in [("1", true), ("２", false), ("是", true), ("不去", false), ("好的!", true)] {
            assert_eq!(check(text), Some((None, yes)), "{text}");
        }
    }

    #[test]
    fn what_says_neither_or_both_is_no_answer() {
        for text in ["", "1234", "1234 3", "1234 1 2", "123 1", "1234 5678 1", "123456", "你好", "1234 1 谢谢", "是不是", "TD", "12 34 1"]
        {
            assert_eq!(check(text), None, "{text}");
        }
    }
}
