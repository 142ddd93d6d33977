//! Typed reading of a record's fields, collecting every fault on the way.

use crate::domain::posting::Fault;
use serde_json::{Map, Value};

/// One object of the record and where it stands; faults go to a common list.
pub struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    pointer: String,
}

impl<'a> Fields<'a> {
    /// The record itself.
    pub fn of(object: &'a Map<String, Value>) -> Self {
        Self { object: Some(object), pointer: String::new() }
    }

    /// The object at this pointer, or one without any field.
    pub fn at(object: Option<&'a Map<String, Value>>, pointer: &str) -> Self {
        Self { object, pointer: pointer.to_owned() }
    }

    /// The field's value; null is the same as absent.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object?.get(name).filter(|v| !v.is_null())
    }

    /// Where the field stands (RFC 6901; field names of a posting need no escape).
    /// With an empty name: where this object stands.
    pub fn pointer(&self, name: &str) -> String {
        if name.is_empty() {
            return self.pointer.clone();
        }
        format!("{}/{name}", self.pointer)
    }

    /// A text without the space around it; an empty one is absent.
    pub fn text(&self, name: &str, most_chars: usize, faults: &mut Vec<Fault>) -> Option<String> {
        let Value::String(text) = self.get(name)? else {
            faults.push(Fault::new(self.pointer(name), "invalid_type", "a text is wanted"));
            return None;
        };
        let text = sound(text, self.pointer(name), most_chars, faults)?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The same for ids and codes, which some platforms write as whole numbers.
    pub fn code(&self, name: &str, most_chars: usize, faults: &mut Vec<Fault>) -> Option<String> {
        match self.get(name)? {
            Value::Number(number) if !number.is_f64() => Some(number.to_string()),
            _ => self.text(name, most_chars, faults),
        }
    }

    /// A whole number, or a text of digits, within a range.
    pub fn integer(&self, name: &str, range: std::ops::RangeInclusive<i64>, faults: &mut Vec<Fault>) -> Option<i64> {
        let value = self.get(name)?;
        let number = match value {
            Value::Number(n) => n.as_i64().or_else(|| {
                let float = n.as_f64().filter(|f| f.fract() == 0.0)?;
                // 3.0 is a whole number; beyond what an i64 holds the cast stops
                // at its ends.
                Some(float as i64)
            }),
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => whole(text.trim()),
            _ => None,
        };
        match number {
            None => faults.push(Fault::new(self.pointer(name), "invalid_type", "a whole number is wanted")),
            Some(n) if !range.contains(&n) => {
                let detail = format!("between {} and {}", range.start(), range.end());
                faults.push(Fault::new(self.pointer(name), "out_of_range", detail));
            }
            Some(n) => return Some(n),
        }
        None
    }

    /// Yes or no: a boolean, or one as a table's cell writes it.
    pub fn flag(&self, name: &str, faults: &mut Vec<Fault>) -> Option<bool> {
        let said = match self.get(name)? {
            Value::Bool(said) => return Some(*said),
            Value::String(text) => text.trim().to_ascii_lowercase(),
            Value::Number(number) => number.to_string(),
            _ => "a list or an object".to_owned(),
        };
        match said.as_str() {
            "" => None,
            "true" | "1" | "是" => Some(true),
            "false" | "0" | "否" => Some(false),
            _ => {
                faults.push(Fault::new(self.pointer(name), "invalid_type", "true or false is wanted"));
                None
            }
        }
    }

    /// A word of a closed list.
    pub fn word<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>, faults: &mut Vec<Fault>) -> Option<T> {
        match self.get(name)? {
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => {
                let word = read(text.trim());
                if word.is_none() {
                    faults.push(Fault::new(self.pointer(name), "unknown_value", "not one of the known words"));
                }
                word
            }
            _ => {
                faults.push(Fault::new(self.pointer(name), "invalid_type", "a text is wanted"));
                None
            }
        }
    }

    /// The members of an array with their pointers; a text alone is an array of one.
    pub fn members(&self, name: &str, faults: &mut Vec<Fault>) -> Vec<(&'a Value, String)> {
        match self.get(name) {
            None => vec![],
            Some(Value::Array(items)) => items.iter().enumerate().map(|(i, v)| (v, format!("{}/{i}", self.pointer(name)))).collect(),
            Some(Value::String(text)) if text.trim().is_empty() => vec![],
            Some(text @ Value::String(_)) => vec![(text, self.pointer(name))],
            Some(_) => {
                faults.push(Fault::new(self.pointer(name), "invalid_type", "a list is wanted"));
                vec![]
            }
        }
    }

    /// An object, or the text that stands for it.
    pub fn object_or_text(&self, name: &str, faults: &mut Vec<Fault>) -> (Fields<'a>, Option<&'a str>) {
        let pointer = self.pointer(name);
        match self.get(name) {
            None => (Fields::at(None, &pointer), None),
            Some(Value::Object(object)) => (Fields::at(Some(object), &pointer), None),
            Some(Value::String(text)) => (Fields::at(None, &pointer), Some(text.trim()).filter(|t| !t.is_empty())),
            Some(_) => {
                faults.push(Fault::new(&pointer, "invalid_type", "an object or a text is wanted"));
                (Fields::at(None, &pointer), None)
            }
        }
    }
}

/// A text without the space around it, where it is not too long and has no NUL,
/// which PostgreSQL cannot keep.
pub fn sound<'a>(text: &'a str, pointer: String, most_chars: usize, faults: &mut Vec<Fault>) -> Option<&'a str> {
    let text = text.trim();
    if longer_than(text, most_chars) {
        let detail = format!("at most {most_chars} characters");
        faults.push(Fault::new(pointer, "too_long", detail));
        return None;
    }
    if text.contains('\0') {
        faults.push(Fault::new(pointer, "unreadable", "a NUL character in a text"));
        return None;
    }
    Some(text)
}

/// Whether a text has more characters than this.
pub fn longer_than(text: &str, most_chars: usize) -> bool {
    text.len() > most_chars && text.chars().nth(most_chars).is_some()
}

/// A text of digits, with a sign at most; beyond 18 digits it is the farthest
/// number there is.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let far = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(far))
}
