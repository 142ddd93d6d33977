//! Text as platforms write it: markup, entities, stray white space, numbers with
//! words around them.

use serde_json::Value;

/// One line of plain text: tags out, entities decoded, white space collapsed.
/// None where the text is that already.
pub(super) fn clean(text: &str) -> Option<String> {
    if is_clean(text) {
        return None;
    }
    let mut out = decode(&strip(text));
    // Markup that came as entities (`&lt;p&gt;`) is markup after one decoding.
    if !text.contains('<') && out.contains('<') {
        out = decode(&strip(&out));
    }
    Some(out.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn is_clean(text: &str) -> bool {
    let mut before = ' ';
    for c in text.chars() {
        if c == '<' || c == '&' || (c.is_whitespace() && (c != ' ' || before == ' ')) {
            return false;
        }
        before = c;
    }
    before != ' '
}

/// Takes tags out, with what stands in `script` and `style`. A tag leaves a space,
/// except those that only mark words; `<` before anything but a tag stays.
fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        if !rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            out.push('<');
            rest = &rest[1..];
            continue;
        }
        // No tag ends any more: looking again at each `<` would take quadratic time.
        let Some(end) = rest.find('>') else { break };
        let name: String = rest[1..end].trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        let name = name.to_ascii_lowercase();
        let closing = rest[1..].starts_with('/');
        rest = &rest[end + 1..];
        if !closing && (name == "script" || name == "style") {
            rest = rest.match_indices("</").map(|(at, _)| &rest[at..]).find(|end| closes(end, &name)).unwrap_or("");
        } else if !matches!(name.as_str(), "b" | "i" | "u" | "em" | "strong" | "span" | "a" | "font") {
            out.push(' ');
        }
    }
    out.push_str(rest);
    out
}

/// Whether `</name` stands at the beginning, in either case.
fn closes(text: &str, name: &str) -> bool {
    text.get(2..2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name))
}

fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        match end.and_then(|end| entity(&rest[..end])) {
            Some(c) => {
                out.push(c);
                rest = &rest[end.map_or(0, |end| end + 1)..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

/// The character of an entity: numeric, or one of the names that turn up.
pub(super) fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control() || c.is_whitespace());
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "ensp" | "emsp" | "thinsp" => ' ',
        "euro" => '€',
        "bull" => '•',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        _ => {
            let at = LATIN_1.split(' ').position(|known| known == name)?;
            return char::from_u32(0xa0 + u32::try_from(at).ok()?);
        }
    })
}

/// HTML's names of U+00A0 to U+00FF, in their order.
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr \
    deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest \
    Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml \
    ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig \
    agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml \
    eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

/// The one number in a text (`20人`, `1,200 元`, `３`); none where there is no
/// number or more than one.
pub(super) fn only_number(text: &str) -> Option<Value> {
    let plain: String = text
        .chars()
        .map(|c| match c {
            '０'..='９' => char::from(b'0' + (u32::from(c) - u32::from('０')) as u8),
            '．' => '.',
            '，' => ',',
            other => other,
        })
        .collect();
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let mut found = plain.split(|c| !is_part(c)).filter(|part| part.contains(|c: char| c.is_ascii_digit()));
    let number = found.next()?;
    if found.next().is_some() {
        return None;
    }
    let negative = plain.trim_start().starts_with('-');
    let number = number.trim_matches(['.', ',']).replace(',', "");
    let number = if negative { format!("-{number}") } else { number };
    number.parse::<i64>().map(Value::from).ok().or_else(|| number.parse::<f64>().ok().map(Value::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(clean(text).as_deref().unwrap_or(text), expected, "{text:?}");
    }

    #[test]
    fn markup_goes_and_the_words_stay() {
        check("  外卖\u{3000}骑手\n 急招 ", "外卖 骑手 急招");
        check("<p>包吃住<br/>五险&nbsp;一金</p><script>x<y</script>", "包吃住 五险 一金");
        check("月薪<b>5000</b>元 &amp; 提成 &#165;3/单", "月薪5000元 & 提成 ¥3/单");
        check("&lt;p&gt;double&lt;/p&gt;", "double");
        check("3 < 5 && a<b> c", "3 < 5 && a c");
        check("R&D; AT&T", "R&D; AT&T");
        check("cami&oacute;n &yuml;&copy;&divide;", "camión ÿ©÷");
        check("clean", "clean");
        assert_eq!(clean("clean text"), None);
    }

    #[test]
    fn the_only_number_is_found() {
        assert_eq!(only_number("招 20 人"), Some(20.into()));
        assert_eq!(only_number("1,200.5元"), Some(1200.5.into()));
        assert_eq!(only_number("３０"), Some(30.into()));
        assert_eq!(only_number("-3"), Some((-3).into()));
        assert_eq!(only_number("5-8"), None);
        assert_eq!(only_number("若干"), None);
    }
}
