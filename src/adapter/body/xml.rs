//! XML bodies. An element becomes an object: attributes as `@name`, children by
//! their name (repeated ones, and those named in `arrays`, as a list), text as
//! `#text`; an element with nothing but text is that text, an empty one is none.
//! Namespace prefixes are taken off.
//!
//! Does not: read document type declarations, or any entity but the five of XML
//! and numeric ones. So nothing expands.

use super::{BodyError, MAX_DEPTH, MAX_FIELDS, Piece};
use crate::adapter::manifest::line_of;
use crate::adapter::text;
use crate::domain::posting::Fault;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

/// Checks the whole body and finds the elements at one of the paths: `/jobs/job`
/// is every `job` in the root `jobs`.
pub fn cut(text: &str, pointers: &[String]) -> Result<Vec<Piece>, BodyError> {
    let paths: Vec<Vec<&str>> = pointers.iter().map(|p| p.split('/').skip(1).collect()).collect();
    let mut reader = Reader::from_str(text);
    let (mut pieces, mut path, mut starts) = (Vec::new(), Vec::<String>::new(), Vec::new());
    let mut container = paths.iter().any(|path| path.len() < 2);
    let mut rooted = false;
    loop {
        let before = offset(&reader);
        let wrong = |detail: &str| BodyError::Xml { line: line_of(text, before), detail: detail.to_owned() };
        let event = reader.read_event().map_err(|_| wrong("this is not well-formed"))?;
        let start = match &event {
            Event::Start(start) | Event::Empty(start) => start,
            Event::End(_) => {
                if starts.last().is_some_and(|(depth, _)| *depth == path.len()) {
                    let (_, start): (usize, usize) = starts.pop().unwrap_or_default();
                    pieces.push(Ok(start..offset(&reader)));
                }
                path.pop();
                continue;
            }
            Event::DocType(_) => return Err(wrong("document type declarations are not taken")),
            Event::GeneralRef(name) if reference(name).is_none() => {
                return Err(wrong("an entity that XML does not have"));
            }
            Event::Text(found) if path.is_empty() && !found.trim().is_empty() => {
                return Err(wrong("text outside of the root element"));
            }
            Event::Eof => break,
            _ => continue,
        };
        if start.attributes().any(|attribute| attribute.is_err()) {
            return Err(wrong("an attribute is not well-formed"));
        }
        if path.is_empty() && std::mem::replace(&mut rooted, true) {
            return Err(wrong("a second root element"));
        }
        path.push(start.local_name().as_ref().to_owned());
        if path.len() > MAX_DEPTH {
            return Err(BodyError::TooDeep);
        }
        let at = |wanted: &Vec<&str>| {
            if wanted.is_empty() { path.len() == 1 } else { *wanted == path }
        };
        let wanted = starts.is_empty() && paths.iter().any(at);
        container = container || paths.iter().any(|wanted| wanted.len() == path.len() + 1 && wanted[..path.len()] == path[..]);
        if matches!(event, Event::Empty(_)) {
            if wanted {
                pieces.push(Ok(before..offset(&reader)));
            }
            path.pop();
        } else if wanted {
            starts.push((path.len(), before));
        }
    }
    if !path.is_empty() || !rooted {
        return Err(BodyError::Xml { line: line_of(text, text.len()), detail: "the document ends too early".to_owned() });
    }
    if !container {
        return Err(BodyError::NoRecords { pointer: pointers.first().cloned().unwrap_or_default() });
    }
    Ok(pieces)
}

fn offset(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// An element that is open: its members so far, and its text.
struct Open {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// The tree of one element that [`cut`] found.
pub fn tree(text: &str, arrays: &[String]) -> Result<Value, Fault> {
    let unreadable = || Fault::new("", "unreadable", "this element cannot be read");
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut fields = 0;
    loop {
        let event = reader.read_event().map_err(|_| unreadable())?;
        let done = match event {
            Event::Start(start) => {
                open.push(Open::new(&start, &mut fields)?);
                None
            }
            Event::Empty(start) => Some(Open::new(&start, &mut fields)?),
            Event::End(_) => open.pop(),
            Event::Text(found) => {
                if let Some(inner) = open.last_mut() {
                    inner.text.push_str(&found.xml10_content());
                }
                None
            }
            Event::CData(found) => {
                if let Some(inner) = open.last_mut() {
                    inner.text.push_str(&found.xml10_content());
                }
                None
            }
            Event::GeneralRef(name) => {
                if let Some(inner) = open.last_mut() {
                    inner.text.push(reference(&name).ok_or_else(unreadable)?);
                }
                None
            }
            Event::Eof => return Err(unreadable()),
            _ => None,
        };
        if fields > MAX_FIELDS {
            return Err(Fault::new("", "too_long", "more than 1,000 elements and attributes"));
        }
        if let Some(element) = done {
            let name = element.name.clone();
            let value = element.close();
            match open.last_mut() {
                Some(outer) => add(&mut outer.members, name, value, arrays),
                None if value.is_object() => return Ok(value),
                // Even a bare `<job>text</job>` is an object to its mapping.
                None => return Ok(Value::Object(Map::from_iter([("#text".to_owned(), value)]))),
            }
        }
    }
}

impl Open {
    fn new(start: &BytesStart<'_>, fields: &mut usize) -> Result<Self, Fault> {
        *fields += 1;
        let mut members = Map::new();
        for attribute in start.attributes() {
            let unreadable = || Fault::new("", "unreadable", "an attribute cannot be read");
            let attribute = attribute.map_err(|_| unreadable())?;
            *fields += 1;
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).map_err(|_| unreadable())?;
            members.insert(format!("@{}", attribute.key.local_name().as_ref()), Value::from(value.into_owned()));
        }
        Ok(Self { name: start.local_name().as_ref().to_owned(), members, text: String::new() })
    }

    fn close(mut self) -> Value {
        let text = self.text.trim();
        if self.members.is_empty() {
            return if text.is_empty() { Value::Null } else { Value::from(text) };
        }
        if !text.is_empty() {
            self.members.insert("#text".to_owned(), Value::from(text));
        }
        Value::Object(self.members)
    }
}

fn add(members: &mut Map<String, Value>, name: String, value: Value, arrays: &[String]) {
    match members.get_mut(&name) {
        Some(Value::Array(all)) => all.push(value),
        Some(first) => {
            let before = first.take();
            *first = Value::Array(vec![before, value]);
        }
        None if arrays.contains(&name) => {
            members.insert(name, Value::Array(vec![value]));
        }
        None => {
            members.insert(name, value);
        }
    }
}

fn reference(name: &str) -> Option<char> {
    let predefined = matches!(name, "amp" | "lt" | "gt" | "quot" | "apos");
    (predefined || name.starts_with('#')).then(|| text::entity(name)).flatten()
}
