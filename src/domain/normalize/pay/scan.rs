//! A wage text as tokens, clause by clause.

use crate::domain::pay::Unit;

/// What stands in a wage text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// An amount in 1/[`SCALE`] of the currency's unit, its suffix (千, 万)
    /// counted in; `suffixed` is that suffix, 1 without one.
    Number {
        amount: i64,
        suffixed: i64,
    },
    /// Between the ends of a range.
    Dash,
    /// `/`, 每, 一 before a unit.
    Per,
    Unit(Unit),
    /// 元 and the like.
    Yuan,
    /// 以上, 起, 底薪: the number is the least.
    Least,
    /// 以下, 最高: the number is the most.
    Most,
    /// `+`: something comes on top.
    Plus,
    /// Anything else.
    Word,
}

/// Parts of one unit of currency that amounts are counted in.
pub const SCALE: i64 = 10_000;

/// A text taken apart.
#[derive(Debug, Default)]
pub struct Scanned {
    pub clauses: Vec<Vec<Token>>,
    /// ISO 4217, where the text names a currency.
    pub currency: Option<&'static str>,
    /// N of `N薪`.
    pub months_per_year: Option<u8>,
    /// 面议 and the like.
    pub negotiable: bool,
    /// The number just read was no money, nor is what the range began with.
    drop_range: bool,
}

/// Currencies by the words for them; the longest first where one begins another.
const CURRENCIES: [(&str, &str); 29] = [
    ("人民币", "CNY"),
    ("rmb", "CNY"),
    ("cny", "CNY"),
    ("¥", "CNY"),
    ("us$", "USD"),
    ("hk$", "HKD"),
    ("nt$", "TWD"),
    ("s$", "SGD"),
    ("a$", "AUD"),
    ("c$", "CAD"),
    ("$", "USD"),
    ("usd", "USD"),
    ("美元", "USD"),
    ("美金", "USD"),
    ("刀", "USD"),
    ("€", "EUR"),
    ("eur", "EUR"),
    ("欧元", "EUR"),
    ("£", "GBP"),
    ("gbp", "GBP"),
    ("英镑", "GBP"),
    ("日元", "JPY"),
    ("jpy", "JPY"),
    ("hkd", "HKD"),
    ("港币", "HKD"),
    ("港元", "HKD"),
    ("新币", "SGD"),
    ("台币", "TWD"),
    ("mop", "MOP"),
];

/// Words that say what a number is, wherever they stand.
const WORDS: [(&str, Token); 82] = [
    ("上不封顶", Token::Least),
    ("不封顶", Token::Least),
    ("及以上", Token::Least),
    ("以上", Token::Least),
    ("不低于", Token::Least),
    ("不少于", Token::Least),
    ("至少", Token::Least),
    ("最低", Token::Least),
    ("底薪", Token::Least),
    ("保底", Token::Least),
    ("基本工资", Token::Least),
    ("起薪", Token::Least),
    ("起步", Token::Least),
    ("起", Token::Least),
    ("多", Token::Least),
    ("及以下", Token::Most),
    ("以下", Token::Most),
    ("以内", Token::Most),
    ("之内", Token::Most),
    ("最高", Token::Most),
    ("不超过", Token::Most),
    ("封顶", Token::Most),
    ("up to", Token::Most),
    ("at least", Token::Least),
    ("from", Token::Least),
    ("时薪", Token::Unit(Unit::Hour)),
    ("小时工资", Token::Unit(Unit::Hour)),
    ("每小时", Token::Unit(Unit::Hour)),
    ("一小时", Token::Unit(Unit::Hour)),
    ("hourly", Token::Unit(Unit::Hour)),
    ("per hour", Token::Unit(Unit::Hour)),
    ("an hour", Token::Unit(Unit::Hour)),
    ("日薪", Token::Unit(Unit::Day)),
    ("日工资", Token::Unit(Unit::Day)),
    ("日均", Token::Unit(Unit::Day)),
    ("日入", Token::Unit(Unit::Day)),
    ("每天", Token::Unit(Unit::Day)),
    ("每日", Token::Unit(Unit::Day)),
    ("一天", Token::Unit(Unit::Day)),
    ("天薪", Token::Unit(Unit::Day)),
    ("daily", Token::Unit(Unit::Day)),
    ("per day", Token::Unit(Unit::Day)),
    ("a day", Token::Unit(Unit::Day)),
    ("周薪", Token::Unit(Unit::Week)),
    ("每周", Token::Unit(Unit::Week)),
    ("一周", Token::Unit(Unit::Week)),
    ("weekly", Token::Unit(Unit::Week)),
    ("per week", Token::Unit(Unit::Week)),
    ("a week", Token::Unit(Unit::Week)),
    ("月薪", Token::Unit(Unit::Month)),
    ("月工资", Token::Unit(Unit::Month)),
    ("月收入", Token::Unit(Unit::Month)),
    ("月综合", Token::Unit(Unit::Month)),
    ("月入", Token::Unit(Unit::Month)),
    ("月均", Token::Unit(Unit::Month)),
    ("每个月", Token::Unit(Unit::Month)),
    ("每月", Token::Unit(Unit::Month)),
    ("一个月", Token::Unit(Unit::Month)),
    ("monthly", Token::Unit(Unit::Month)),
    ("per month", Token::Unit(Unit::Month)),
    ("a month", Token::Unit(Unit::Month)),
    ("年薪", Token::Unit(Unit::Year)),
    ("年收入", Token::Unit(Unit::Year)),
    ("年入", Token::Unit(Unit::Year)),
    ("每年", Token::Unit(Unit::Year)),
    ("一年", Token::Unit(Unit::Year)),
    ("yearly", Token::Unit(Unit::Year)),
    ("annually", Token::Unit(Unit::Year)),
    ("per annum", Token::Unit(Unit::Year)),
    ("per year", Token::Unit(Unit::Year)),
    ("p.a.", Token::Unit(Unit::Year)),
    ("a year", Token::Unit(Unit::Year)),
    ("计件", Token::Unit(Unit::Piece)),
    ("每", Token::Per),
    ("per", Token::Per),
    ("元", Token::Yuan),
    ("块钱", Token::Yuan),
    ("块", Token::Yuan),
    ("圆", Token::Yuan),
    ("yuan", Token::Yuan),
    ("至", Token::Dash),
    ("到", Token::Dash),
];

/// Words that are units only after `/`, 每, 一 or 元.
const UNITS: [(&str, Unit); 70] = [
    ("小时", Unit::Hour),
    ("钟头", Unit::Hour),
    ("课时", Unit::Piece),
    ("时", Unit::Hour),
    ("hour", Unit::Hour),
    ("hr", Unit::Hour),
    ("h", Unit::Hour),
    ("天", Unit::Day),
    ("日", Unit::Day),
    ("晚", Unit::Day),
    ("班", Unit::Day),
    ("工日", Unit::Day),
    ("工", Unit::Day),
    ("day", Unit::Day),
    ("d", Unit::Day),
    ("星期", Unit::Week),
    ("礼拜", Unit::Week),
    ("周", Unit::Week),
    ("week", Unit::Week),
    ("wk", Unit::Week),
    ("个月", Unit::Month),
    ("月", Unit::Month),
    ("month", Unit::Month),
    ("mo", Unit::Month),
    ("m", Unit::Month),
    ("年", Unit::Year),
    ("year", Unit::Year),
    ("yr", Unit::Year),
    ("annum", Unit::Year),
    ("单", Unit::Piece),
    ("件", Unit::Piece),
    ("次", Unit::Piece),
    ("趟", Unit::Piece),
    ("个", Unit::Piece),
    ("票", Unit::Piece),
    ("箱", Unit::Piece),
    ("套", Unit::Piece),
    ("篇", Unit::Piece),
    ("条", Unit::Piece),
    ("张", Unit::Piece),
    ("题", Unit::Piece),
    ("页", Unit::Piece),
    ("千字", Unit::Piece),
    ("公斤", Unit::Piece),
    ("斤", Unit::Piece),
    ("吨", Unit::Piece),
    ("公里", Unit::Piece),
    ("亩", Unit::Piece),
    ("台", Unit::Piece),
    ("节", Unit::Piece),
    ("间", Unit::Piece),
    ("户", Unit::Piece),
    ("平方米", Unit::Piece),
    ("平米", Unit::Piece),
    ("平方", Unit::Piece),
    ("平", Unit::Piece),
    ("棵", Unit::Piece),
    ("筐", Unit::Piece),
    ("人", Unit::Piece),
    ("场", Unit::Piece),
    ("米", Unit::Piece),
    ("双", Unit::Piece),
    ("把", Unit::Piece),
    ("块砖", Unit::Piece),
    ("方", Unit::Piece),
    ("根", Unit::Piece),
    ("样", Unit::Piece),
    ("例", Unit::Piece),
    ("piece", Unit::Piece),
    ("order", Unit::Piece),
];

/// After a number these say that it is no money, unless 元 or a range goes before.
const NOT_MONEY: [&str; 7] = ["人", "名", "个人", "小时", "天", "险", "点"];

/// After a number these say so wherever it stands.
const NEVER_MONEY: [&str; 4] = ["岁", "周岁", "%", "年经验"];

const NEGOTIABLE: [&str; 9] = ["面议", "面谈", "电议", "另议", "详谈", "私聊", "商议", "保密", "negotiable"];

/// Takes a text apart.
pub fn scan(text: &str) -> Scanned {
    let chars: Vec<char> = spelt_out(plain(text));
    let text: String = chars.iter().collect();
    let mut scanned = Scanned { negotiable: NEGOTIABLE.iter().any(|w| text.contains(w)), ..Scanned::default() };
    let mut clause: Vec<Token> = Vec::new();
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        if let Some((token, after)) = number(rest, &clause, &mut scanned) {
            if std::mem::take(&mut scanned.drop_range) && matches!(clause[..], [.., Token::Number { .. }, Token::Dash]) {
                clause.truncate(clause.len() - 2);
            }
            clause.extend(token);
            rest = after;
            continue;
        }
        if matches!(c, ',' | ';' | '。' | '、' | '(' | ')' | '[' | ']' | '【' | '】' | '!' | '|' | '\n') {
            if !clause.is_empty() {
                scanned.clauses.push(std::mem::take(&mut clause));
            }
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (token, len) = word(rest, clause.last(), &mut scanned.currency);
        match token {
            // Ranges are written with one dash or several.
            Token::Dash if clause.last() == Some(&Token::Dash) => {}
            token => clause.push(token),
        }
        rest = &rest[len..];
    }
    if !clause.is_empty() {
        scanned.clauses.push(clause);
    }
    scanned
}

/// Full-width forms become plain ones, capitals small, spaces go except between
/// Latin words and between numbers.
fn plain(text: &str) -> Vec<char> {
    let mut out: Vec<char> = Vec::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '，' => ',',
            '；' => ';',
            '￥' => '¥',
            '～' | '〜' | '–' | '—' | '―' | '－' | '−' => '-',
            '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
            c => c,
        };
        let c = if c == '~' { '-' } else { c.to_ascii_lowercase() };
        if c.is_whitespace() {
            let alike =
                |a: &char, b: &char| (a.is_ascii_alphabetic() && b.is_ascii_alphabetic()) || (a.is_ascii_digit() && b.is_ascii_digit());
            if out.last().zip(chars.peek()).is_some_and(|(a, b)| alike(a, b)) {
                out.push(' ');
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// 四五千 is 四千-五千: two digits in a row before one power of ten.
fn spelt_out(chars: Vec<char>) -> Vec<char> {
    let digit = |c: &char| "一二三四五六七八九".chars().position(|d| d == *c).or((*c == '两').then_some(1));
    let mut out = Vec::with_capacity(chars.len() + 2);
    let mut rest = chars.as_slice();
    while let [first, tail @ ..] = rest {
        if let [second, power @ ('百' | '千' | '万'), ..] = tail
            && let (Some(low), Some(high)) = (digit(first), digit(second))
            && low < high
            && high <= low + 2
        {
            out.extend([*first, *power, '-']);
        } else {
            out.push(*first);
        }
        rest = tail;
    }
    out
}

/// What a `+` may lead on to that is worth something and no money.
const NO_MONEY: [&str; 12] = ["五险", "六险", "社保", "公积金", "包吃", "包住", "食宿", "吃住", "双休", "单休", "年假", "带薪"];

/// One token that is no number, and its length.
fn word(rest: &str, before: Option<&Token>, currency: &mut Option<&'static str>) -> (Token, usize) {
    let attached = matches!(before, Some(Token::Per | Token::Yuan));
    if attached && let Some((w, unit)) = UNITS.iter().filter(|(w, _)| rest.starts_with(w)).max_by_key(|(w, _)| w.len()) {
        return (Token::Unit(*unit), w.len());
    }
    if let Some((w, code)) = CURRENCIES.iter().find(|(w, _)| rest.starts_with(w)) {
        currency.get_or_insert(code);
        return (Token::Yuan, w.len());
    }
    if let Some((w, token)) = WORDS.iter().find(|(w, _)| rest.starts_with(w)) {
        return (*token, w.len());
    }
    match rest.chars().next() {
        Some('-') => (Token::Dash, 1),
        Some('/') => (Token::Per, 1),
        Some('+') if NO_MONEY.iter().any(|w| rest[1..].starts_with(w)) => (Token::Word, 1),
        Some('+') => (Token::Plus, 1),
        // 18块一小时, 9元一单, 一单9元.
        Some('一') => (Token::Per, '一'.len_utf8()),
        Some(c) => (Token::Word, c.len_utf8()),
        None => (Token::Word, 0),
    }
}

/// A number at the beginning of `rest`, in digits or Chinese numerals, with its
/// suffix. The token is none where the number is no money.
fn number<'a>(rest: &'a str, clause: &[Token], scanned: &mut Scanned) -> Option<(Option<Token>, &'a str)> {
    let read = digits(rest);
    let (mut amount, suffix, mut after) = match read {
        Some((amount, after)) => {
            let (suffix, after) = self::suffix(after);
            (amount.saturating_mul(suffix), suffix, after)
        }
        None => {
            let (amount, after) = numeral(rest)?;
            (amount, if amount >= 1000 * SCALE { 1000 } else { 1 }, after)
        }
    };
    // 1万2, 3千5, 1万2千.
    if read.is_some()
        && suffix >= 1000
        && let Some((more, tail)) = digits(after)
    {
        let (small, tail) = self::suffix(tail);
        if small > 1 && small < suffix {
            amount = amount.saturating_add(more.saturating_mul(small));
            after = tail;
        } else if small == 1 && more < 10 * SCALE && after.len() - tail.len() == 1 {
            amount = amount.saturating_add(more * (suffix / 10));
            after = tail;
        }
    }
    if let Some(tail) = after.strip_prefix('薪') {
        let months = amount / SCALE;
        if suffix == 1 && (12..=36).contains(&months) {
            scanned.months_per_year.get_or_insert(months as u8);
            return Some((None, tail));
        }
    }
    // 13-16薪: the sure part.
    if suffix == 1
        && let Some((_, tail)) = after.strip_prefix('-').and_then(digits)
        && let Some(tail) = tail.strip_prefix('薪')
    {
        scanned.months_per_year = u8::try_from(amount / SCALE).ok();
        return Some((None, tail));
    }
    // 9:00-18:00.
    if let Some(tail) = after.strip_prefix(':')
        && let Some((_, tail)) = digits(tail)
    {
        return Some((None, tail));
    }
    // 18-45岁 takes its lower end along.
    if NEVER_MONEY.iter().any(|w| after.starts_with(w)) {
        scanned.drop_range = true;
        return Some((Some(Token::Word), after));
    }
    let priced = matches!(clause.last(), Some(Token::Yuan | Token::Dash));
    if !priced && NOT_MONEY.iter().any(|w| after.starts_with(w)) {
        return Some((Some(Token::Word), after));
    }
    Some((Some(Token::Number { amount, suffixed: suffix }), after))
}

/// Decimal digits, with thousands marks, in 1/SCALE.
fn digits(text: &str) -> Option<(i64, &str)> {
    let bytes = text.as_bytes();
    let (mut value, mut i) = (0i64, 0);
    while i < bytes.len() {
        match bytes[i] {
            b @ b'0'..=b'9' => {
                // Far above any pay, and far below an overflow.
                value = (value * 10 + i64::from(b - b'0')).min(1 << 40);
            }
            b',' if thousands(&bytes[..i], &bytes[i + 1..]) => {}
            _ => break,
        }
        i += 1;
    }
    if i == 0 {
        return None;
    }
    let mut value = value * SCALE;
    if bytes.get(i) == Some(&b'.') && bytes.get(i + 1).is_some_and(u8::is_ascii_digit) {
        i += 1;
        let mut part = SCALE;
        while let Some(b @ b'0'..=b'9') = bytes.get(i) {
            part /= 10;
            value += part * i64::from(b - b'0');
            i += 1;
        }
    }
    Some((value, &text[i..]))
}

/// Whether a comma stands between thousands: three digits and no fourth after it.
fn thousands(before: &[u8], after: &[u8]) -> bool {
    before.last().is_some_and(u8::is_ascii_digit)
        && after.len() >= 3
        && after[..3].iter().all(u8::is_ascii_digit)
        && !after.get(3).is_some_and(u8::is_ascii_digit)
}

/// What multiplies the number before it, 1 without one.
fn suffix(after: &str) -> (i64, &str) {
    for (word, times) in [("万", 10_000), ("千", 1000), ("百", 100), ("k", 1000), ("w", 10_000)] {
        if let Some(tail) = after.strip_prefix(word) {
            // 5元/千字 is no suffix, nor is the k of a word.
            let latin = word.is_ascii() && tail.starts_with(|c: char| c.is_ascii_alphabetic());
            if !latin && !tail.starts_with('字') {
                return (times, tail);
            }
        }
    }
    (1, after)
}

/// Chinese numerals: those with 十百千万 in them, or one digit before 元 or 块.
fn numeral(text: &str) -> Option<(i64, &str)> {
    let digit = |c| "零一二三四五六七八九".chars().position(|d| d == c).or((c == '两').then_some(2)).map(|d| d as i64);
    let (mut total, mut section, mut last, mut scale, mut len) = (0i64, 0i64, None, 1i64, 0);
    let mut compound = false;
    for c in text.chars() {
        let times = match c {
            '十' => 10,
            '百' => 100,
            '千' => 1000,
            '万' => 10_000,
            _ => 0,
        };
        if let Some(d) = digit(c) {
            if last.is_some_and(|l| l != 0) {
                break;
            }
            last = Some(d);
        } else if times == 10_000 {
            section += last.take().unwrap_or(0);
            total += section.max(1) * times;
            (section, scale, compound) = (0, times, true);
        } else if times > 0 {
            // 千 and 万 alone are suffixes of digits that went before.
            if last.is_none() && times != 10 {
                return None;
            }
            section += last.take().unwrap_or(1) * times;
            (scale, compound) = (times, true);
        } else {
            break;
        }
        len += c.len_utf8();
    }
    // 五百一天 is no 五百一.
    if compound
        && last == Some(1)
        && ["天", "日", "小时", "周", "月", "单", "次", "件", "班", "场"].iter().any(|w| text[len..].starts_with(w))
    {
        last = None;
        len -= '一'.len_utf8();
    }
    let after = &text[len..];
    // 一万二, 三千五.
    let tail = last.map_or(0, |d| if compound && scale >= 100 { d * scale / 10 } else { d });
    let value = total + section + tail;
    let priced = after.starts_with(['元', '块']);
    ((compound || priced) && value > 0).then_some((value * SCALE, after))
}
