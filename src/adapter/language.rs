//! The functions of the mapping language: a closed set. `adapters/README.md` is
//! their manual.

use super::manifest::Lookup;
use super::{date, text};
use crate::domain::normalize::dates;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A fault that a function of ours found; travels as the source of minijinja's error.
#[derive(Debug)]
pub(super) struct NativeFault {
    pub code: &'static str,
    /// Holds no value of the record.
    pub detail: String,
    pub field: Option<&'static str>,
}

impl NativeFault {
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self { code: "unreadable", detail: detail.into(), field: None }
    }

    pub fn at(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }
}

impl fmt::Display for NativeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for NativeFault {}

impl From<NativeFault> for Error {
    fn from(fault: NativeFault) -> Self {
        Error::new(ErrorKind::InvalidOperation, "").with_source(fault)
    }
}

/// Adds the functions, and takes away what a mapping has no use for.
pub(super) fn install(env: &mut Environment<'static>, tables: &BTreeMap<String, Lookup>) {
    let tables: Arc<BTreeMap<String, Lookup>> = Arc::new(tables.clone());
    env.add_function("lookup", move |table: &str, key: &Value| lookup(&tables, table, key));
    env.add_function("opt", opt);
    env.add_function("first", first);
    env.add_function("join", join);
    env.add_function("split", split);
    env.add_function("text", clean);
    env.add_function("number", number);
    env.add_function("date", day);
    env.add_filter("text", clean);
    env.add_filter("number", number);
    env.add_filter("date", day);
    env.remove_global("debug");
}

/// Nothing that a posting could use: undefined, none, blank text, an empty list or map.
pub(super) fn is_empty(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => true,
        ValueKind::String => value.as_str().is_some_and(|text| text.trim().is_empty()),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => value.len() == Some(0),
        _ => false,
    }
}

/// A list, or what stands for one: `a + b` is not put together before it is read.
fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn lookup(tables: &BTreeMap<String, Lookup>, table: &str, key: &Value) -> Result<Value, Error> {
    let Some(found) = tables.get(table) else {
        return Err(NativeFault::unreadable("a table that adapter.toml does not have").into());
    };
    if is_list(key) {
        let mut all = Vec::new();
        for part in key.try_iter()? {
            let value = one(found, table, &part)?;
            if !is_empty(&value) && !all.contains(&value) {
                all.push(value);
            }
        }
        return Ok(Value::from(all));
    }
    one(found, table, key)
}

fn one(table: &Lookup, name: &str, key: &Value) -> Result<Value, Error> {
    if is_empty(key) {
        return Ok(table.otherwise.clone().unwrap_or_default());
    }
    let found = match key.as_str() {
        Some(text) => table.entries.get(text.trim()),
        None => table.entries.get(&key.to_string()),
    };
    match found.or(table.otherwise.as_ref()) {
        Some(value) => Ok(value.clone()),
        None => {
            let detail = format!("a value that [lookup.{name}] does not have and has no `otherwise` for,");
            Err(NativeFault { code: "unknown_value", detail, field: None }.into())
        }
    }
}

/// `opt("/a/b")` of the record, or `opt(value, "/a/b")`: none where the way ends.
fn opt(state: &State, a: &Value, b: Option<&Value>) -> Result<Value, Error> {
    let (from, pointer) = match b {
        Some(pointer) => (a.clone(), pointer.clone()),
        None => (state.lookup("item").unwrap_or_default(), a.clone()),
    };
    let Some(pointer) = pointer.as_str().filter(|p| p.is_empty() || p.starts_with('/')) else {
        return Err(NativeFault::unreadable("opt() takes a pointer that begins with a slash,").into());
    };
    let mut at = from;
    for token in pointer.split('/').skip(1) {
        at = match at.kind() {
            ValueKind::Map if token.contains('~') => at.get_attr(&token.replace("~1", "/").replace("~0", "~"))?,
            ValueKind::Map => at.get_attr(token)?,
            ValueKind::Seq | ValueKind::Iterable => {
                token.parse().ok().and_then(|index| at.get_item_by_index(index).ok()).unwrap_or_default()
            }
            _ => Value::UNDEFINED,
        };
        if at.is_undefined() || at.is_none() {
            return Ok(Value::from(()));
        }
    }
    Ok(if at.is_undefined() { Value::from(()) } else { at })
}

/// The first that is not empty, else the last: `first(opt("/tags"), [])`.
fn first(values: Rest<Value>) -> Value {
    let found = values.iter().find(|value| !is_empty(value)).or(values.last());
    found.filter(|value| !value.is_undefined()).cloned().unwrap_or_else(|| Value::from(()))
}

/// What is not empty of the values, and of lists among them, with `separator` between.
fn join(state: &State, separator: &str, values: Rest<Value>) -> Result<Value, Error> {
    let mut out = String::new();
    let mut push = |value: &Value| {
        charge(state, value)?;
        if !is_empty(value) {
            if !out.is_empty() {
                out.push_str(separator);
            }
            match value.as_str() {
                Some(text) => out.push_str(text.trim()),
                None => out.push_str(&value.to_string()),
            }
        }
        Ok::<(), Error>(())
    };
    for value in values.iter() {
        if is_list(value) {
            value.try_iter()?.try_for_each(|part| push(&part))?;
        } else {
            push(value)?;
        }
    }
    Ok(if out.is_empty() { Value::from(()) } else { Value::from(out) })
}

/// The parts between any of the characters; an empty list for nothing. A list
/// stays as it is.
fn split(state: &State, value: &Value, separators: &str) -> Result<Value, Error> {
    charge(state, value)?;
    if is_list(value) {
        return Ok(value.clone());
    }
    let Some(text) = value.as_str() else {
        return Ok(Value::from(Vec::<Value>::new()));
    };
    let parts = text.split(|c| separators.contains(c)).map(str::trim);
    Ok(parts.filter(|part| !part.is_empty()).map(Value::from).collect())
}

/// Takes fuel for reading a text, as minijinja does for what it makes itself.
fn charge(state: &State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if text.len() >= 64 => state.consume_fuel(text.len() as u64 / 64),
        _ => Ok(()),
    }
}

fn clean(state: &State, value: &Value) -> Result<Value, Error> {
    charge(state, value)?;
    match value.kind() {
        _ if is_empty(value) => Ok(Value::from(())),
        ValueKind::Number | ValueKind::Bool => Ok(Value::from(value.to_string())),
        _ => match value.as_str() {
            None => Err(NativeFault::unreadable("text was expected and is not there,").into()),
            Some(found) => Ok(match text::clean(found) {
                None => value.clone(),
                Some(cleaned) if cleaned.is_empty() => Value::from(()),
                Some(cleaned) => Value::from(cleaned),
            }),
        },
    }
}

fn number(state: &State, value: &Value, named: Kwargs) -> Result<Value, Error> {
    charge(state, value)?;
    match value.kind() {
        _ if is_empty(value) => Ok(Value::from(())),
        ValueKind::Number => Ok(value.clone()),
        _ => match value.as_str().and_then(text::only_number) {
            Some(number) => Ok(number.as_i64().map(Value::from).or(number.as_f64().map(Value::from)).unwrap_or_default()),
            None => otherwise(&named, "no number, or more than one,"),
        },
    }
}

fn day(value: &Value, format: Option<&str>, named: Kwargs) -> Result<Value, Error> {
    if is_empty(value) {
        return Ok(Value::from(()));
    }
    let found = match value.kind() {
        ValueKind::Number => value.as_i64().and_then(dates::epoch),
        _ => value.as_str().and_then(|text| date::read(text, format)),
    };
    found.map_or_else(|| otherwise(&named, "a day that cannot be read"), |date| Ok(Value::from(date.to_string())))
}

/// What the mapping says to take for something that cannot be read; without a word
/// of it that is a fault.
fn otherwise(named: &Kwargs, fault: &str) -> Result<Value, Error> {
    if named.has("otherwise") { named.get("otherwise") } else { Err(NativeFault::unreadable(fault).into()) }
}
