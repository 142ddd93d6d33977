//! A compiled mapping: one minijinja program, run once for each record.
//!
//! Promises: what can be told without a record is told when it is loaded (unknown
//! names, functions, filters, tables); a run is bounded by fuel; a fault names the
//! line of the mapping and shows its source text, never a value of the record.

use super::language::{self, NativeFault};
use super::manifest::{Lookup, line_of};
use super::{Outcome, Problem};
use crate::domain::normalize::FIELDS;
use crate::domain::posting::Fault;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use std::collections::BTreeMap;
use std::error::Error as _;

/// Instructions, and values made in units of 64 bytes, that one record may cost.
/// The shipped mappings use fewer than 2,000.
const FUEL: u64 = 50_000;
const MAPPING: &str = "mapping.jinja";
/// The mapping up to its `source_id`, run alone to name a record that fails further on.
const IDENTITY: &str = "source_id";

/// A mapping, ready to run on any thread.
#[derive(Debug)]
pub(super) struct Program {
    env: Environment<'static>,
    /// The adapter's. Faults go to the platform, so they name no path of the machine.
    name: String,
    statements: Vec<Statement>,
}

/// A `{% set name = … %}`.
#[derive(Debug)]
struct Statement {
    name: String,
    /// Offsets of its tag.
    start: usize,
    end: usize,
}

impl Program {
    pub fn compile(name: &str, origin: &str, source: &str, lookup: &BTreeMap<String, Lookup>) -> Result<Self, Vec<Problem>> {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_fuel(Some(FUEL));
        env.set_recursion_limit(64);
        env.set_debug(false);
        language::install(&mut env, lookup);
        let file = format!("{origin}/{MAPPING}");
        if let Err(error) = env.add_template_owned(MAPPING, source.to_owned()) {
            // Nothing has run yet, so the detail can hold nothing but the mapping's own text.
            let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            return Err(vec![Problem { file, line: error.line(), field: None, detail }]);
        }
        let code = Code::read(source);
        let mut problems = code.problems(&env, lookup);
        problems.extend(code.undeclared(&env));
        if !problems.is_empty() {
            problems.iter_mut().for_each(|problem| problem.file.clone_from(&file));
            return Err(problems);
        }
        if let Some(statement) = code.statements.iter().find(|statement| statement.name == IDENTITY) {
            // Inside an `{% if %}` the piece alone does not parse; then such records go without.
            let _ = env.add_template_owned(IDENTITY, source[..statement.end].to_owned());
        }
        Ok(Self { env, name: name.to_owned(), statements: code.statements })
    }

    /// What this record becomes.
    pub fn run(&self, item: Value, parent: Value) -> Outcome {
        let context = Value::from_pairs([("item", item), ("parent", parent)]);
        match self.render(MAPPING, context.clone()) {
            Ok(outcome) => outcome,
            // What was to be left out is left out, whatever else is in it.
            Err(error) => match self.render(IDENTITY, context).ok() {
                Some(Outcome::Mapped(record)) => {
                    Outcome::Rejected(self.fault(&error), record.get(IDENTITY).and_then(|id| id.as_str().map(str::to_owned)))
                }
                Some(skipped) => skipped,
                None => Outcome::Rejected(self.fault(&error), None),
            },
        }
    }

    fn render(&self, template: &str, context: Value) -> Result<Outcome, minijinja::Error> {
        let template = self.env.get_template(template)?;
        let done = template.render_captured_to(context, std::io::sink())?;
        let state = done.state();
        if let Some(reason) = state.lookup("skip").filter(|value| !language::is_empty(value)) {
            return Ok(Outcome::Skipped(reason.to_string()));
        }
        let mut record = serde_json::Map::new();
        for name in FIELDS {
            let Some(value) = state.lookup(name).filter(|value| !value.is_undefined() && !value.is_none()) else {
                continue;
            };
            let value = serde_json::to_value(&value).map_err(|_| {
                let fault = NativeFault::unreadable("a value that JSON cannot hold").at(name);
                minijinja::Error::new(ErrorKind::BadSerialization, "").with_source(fault)
            })?;
            let value = match value {
                serde_json::Value::Number(number) if name == IDENTITY => number.to_string().into(),
                value => without_nulls(value),
            };
            record.insert(name.to_owned(), value);
        }
        Ok(Outcome::Mapped(serde_json::Value::Object(record)))
    }

    /// The fault behind an error. minijinja's own detail may quote the record, so
    /// only its kind and the mapping's source text are told.
    fn fault(&self, error: &minijinja::Error) -> Fault {
        let native = error.source().and_then(|source| source.downcast_ref::<NativeFault>());
        let field = native.and_then(|fault| fault.field).or_else(|| {
            let at = error.range()?.start;
            let inside = |s: &&Statement| s.start <= at && at < s.end;
            self.statements.iter().find(inside).map(|s| s.name.as_str()).filter(|name| FIELDS.contains(name))
        });
        let template = self.env.get_template(MAPPING).ok();
        let expression = template.as_ref().zip(error.range()).map(|(template, range)| whole(template.source(), range));
        let (code, reason) = match (native, error.kind()) {
            (Some(fault), _) => (fault.code, fault.detail.clone()),
            (None, ErrorKind::UndefinedError) => ("missing", "something that the record does not have".to_owned()),
            (None, ErrorKind::OutOfFuel) => ("unreadable", "the mapping takes too many steps for this record".to_owned()),
            (None, kind) => ("unreadable", kind.to_string()),
        };
        let mut detail = format!("{}/{MAPPING}", self.name);
        if let Some(line) = error.line() {
            detail.push_str(&format!(":{line}"));
        }
        detail.push_str(&format!(": {reason}"));
        if let Some(expression) = expression {
            detail.push_str(&format!(" in `{expression}`"));
        }
        Fault::new(field.map(|name| format!("/{name}")).unwrap_or_default(), code, detail)
    }
}

/// Absent is said by absence: members that a mapping made of what is not there go.
fn without_nulls(mut value: serde_json::Value) -> serde_json::Value {
    if let serde_json::Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    value
}

/// The text of the expression that failed. minijinja's range of `item.a.b` may
/// begin at the dot; what stands before it makes it readable.
fn whole(source: &str, range: std::ops::Range<usize>) -> String {
    let before = source.get(..range.start).unwrap_or_default();
    let part_of_it = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '"' | '\'' | '/' | '@');
    let mut rest = before.trim_end_matches(part_of_it);
    // Of `item.d | date` the range is the filter's name alone.
    while let Some(filtered) = rest.trim_end().strip_suffix('|') {
        rest = filtered.trim_end().trim_end_matches(part_of_it);
    }
    let start = rest.len();
    let flat = source.get(start..range.end).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= 80 { flat } else { flat.chars().take(79).chain(['…']).collect() }
}

/// What a plain reading of the source tells, without running it.
struct Code {
    /// The source with everything outside of tags, and the inside of strings, made blank.
    blanked: String,
    statements: Vec<Statement>,
    /// Offset and name of each `lookup("name"`.
    tables: Vec<(usize, String)>,
}

impl Code {
    fn read(source: &str) -> Self {
        let blanked = blank(source);
        let mut statements = Vec::new();
        let mut from = 0;
        while let Some(at) = blanked[from..].find("{%").map(|at| from + at) {
            let end = blanked[at..].find("%}").map_or(blanked.len(), |len| at + len + 2);
            let inner = blanked[at + 2..end].trim_start_matches(['-', '+']).trim_start();
            if let Some(rest) = inner.strip_prefix("set").filter(|rest| rest.starts_with(char::is_whitespace)) {
                let targets = rest.split(['=', '%', '|']).next().unwrap_or_default();
                for name in targets.split(',').map(|name| name.trim().trim_matches(['(', ')', '-'])) {
                    statements.push(Statement { name: name.trim().to_owned(), start: at, end });
                }
            }
            from = end;
        }
        let mut tables = Vec::new();
        for (at, word) in words(&blanked) {
            let rest = blanked[at + word.len()..].trim_start();
            if word == "lookup" && rest.starts_with('(') {
                let open = blanked.len() - rest.len() + 1;
                let argument = source[open..].trim_start();
                let quote = argument.chars().next().filter(|c| matches!(c, '"' | '\''));
                if let Some(name) = quote.and_then(|quote| argument[1..].split(quote).next()) {
                    tables.push((at, name.to_owned()));
                }
            }
        }
        Self { blanked, statements, tables }
    }

    /// Names that nothing defines: misspelled functions, variables used and never set.
    fn undeclared(&self, env: &Environment<'_>) -> Vec<Problem> {
        let Ok(template) = env.get_template(MAPPING) else {
            return Vec::new();
        };
        // minijinja ends the life of a name with the `{% if %}` that sets it; when it runs it does not.
        let defined = |name: &str| {
            name == "item"
                || name == "parent"
                || self.statements.iter().any(|statement| statement.name == name)
                || env.globals().any(|(global, _)| global == name)
        };
        let mut names: Vec<String> = template.undeclared_variables(false).into_iter().filter(|name| !defined(name)).collect();
        names.sort();
        names
            .into_iter()
            .map(|name| Problem {
                file: String::new(),
                line: words(&self.blanked).find(|(_, word)| *word == name).map(|(at, _)| line_of(&self.blanked, at)),
                detail: "is neither defined here nor a function".to_owned(),
                field: Some(name),
            })
            .collect()
    }

    fn problems(&self, env: &Environment<'_>, lookup: &BTreeMap<String, Lookup>) -> Vec<Problem> {
        let problem = |line, field: &str, detail: &str| Problem {
            file: String::new(),
            line: Some(line),
            field: Some(field.to_owned()),
            detail: detail.to_owned(),
        };
        let mut problems = Vec::new();
        for Statement { name, start, .. } in &self.statements {
            let fine = name.starts_with('_') || name.contains('.') || name == "skip" || FIELDS.contains(&name.as_str());
            if !fine {
                let line = line_of(&self.blanked, *start);
                problems.push(problem(line, name, "is no field of a posting; a helper's name begins with `_`"));
            }
        }
        for (at, table) in &self.tables {
            if !lookup.contains_key(table) {
                let line = line_of(&self.blanked, *at);
                problems.push(problem(line, table, "is a table that adapter.toml does not have"));
            }
        }
        let mut previous = (0, "");
        for (at, word) in words(&self.blanked) {
            let between = self.blanked[previous.0 + previous.1.len()..at].trim();
            let (kind, trial) = match previous.1 {
                _ if between.ends_with('|') && !between.ends_with("||") => (ErrorKind::UnknownFilter, format!("''|{word}")),
                "is" if between.is_empty() && word != "not" => (ErrorKind::UnknownTest, format!("'' is {word}")),
                _ => {
                    previous = (at, word);
                    continue;
                }
            };
            let unknown = match env.compile_expression_owned(trial) {
                Ok(expression) => expression.eval(()).is_err_and(|error| error.kind() == kind),
                Err(error) => error.kind() == kind,
            };
            if unknown {
                problems.push(problem(line_of(&self.blanked, at), word, &format!("is an {kind}")));
            }
            previous = (at, word);
        }
        problems
    }
}

/// The source with text, comments and the inside of strings as spaces: what stays
/// is code, every byte at its old offset.
fn blank(source: &str) -> String {
    enum At {
        Text,
        Comment,
        Tag(u8),
        Quote(u8, u8),
    }
    let bytes = source.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = At::Text;
    let mut i = 0;
    while i < bytes.len() {
        let pair = bytes.get(i..i + 2).unwrap_or_default();
        let (next, keep, len) = match at {
            At::Text if pair == b"{#" => (At::Comment, false, 2),
            At::Text if pair == b"{%" => (At::Tag(b'%'), true, 2),
            At::Text if pair == b"{{" => (At::Tag(b'}'), true, 2),
            At::Comment if pair == b"#}" => (At::Text, false, 2),
            At::Tag(end) if pair == [end, b'}'] => (At::Text, true, 2),
            At::Tag(end) if matches!(bytes[i], b'"' | b'\'') => (At::Quote(end, bytes[i]), true, 1),
            At::Quote(end, quote) if bytes[i] == quote => (At::Tag(end), true, 1),
            At::Quote(end, quote) if bytes[i] == b'\\' => (At::Quote(end, quote), false, 2),
            At::Tag(end) => (At::Tag(end), bytes[i].is_ascii(), 1),
            stay => (stay, false, 1),
        };
        for byte in &bytes[i..(i + len).min(bytes.len())] {
            out.push(if keep || *byte == b'\n' { *byte } else { b' ' });
        }
        at = next;
        i += len;
    }
    String::from_utf8(out).expect("only ASCII bytes are kept")
}

/// The identifiers of blanked code with their offsets.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.split(move |c| !is_word(c))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
        .map(move |word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}
