//! One canonical record to a posting's content.
//!
//! Promises: all faults of a record are told at once, each with its pointer; a
//! null is the same as a field left out; fields that are not known
//! are passed over.
//! Start at: [`read`].

use super::fields::{Fields, longer_than, sound};
use super::words::{arrangement, benefits, canonical, currency, declared, employment_type, kind, unit};
use super::{category, dates, pay, region, requirements};
use crate::domain::category::Category;
use crate::domain::pay::{Money, Pay};
use crate::domain::posting::{
    Arrangement, Content, Declared, Fault, Occupation, Organization, OrganizationKind, Place, Requirements, Target, counties,
};
use crate::domain::region::{Region, RegionFault, focus_set, resolve_code};
use crate::domain::skill::Skill;
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Days that a posting is open where it does not say.
const DAYS_OPEN: i64 = 30;

/// Most people that one posting may want.
const MOST_OPENINGS: i64 = 100_000;

/// Reads one record. `today` is the day in Asia/Shanghai.
pub fn read(record: &Value, today: Date) -> Result<Content, Vec<Fault>> {
    let Value::Object(object) = record else {
        return Err(vec![Fault::new("", "invalid_type", "an object is wanted")]);
    };
    let mut reader = Reader { fields: Fields::of(object), faults: vec![], warnings: vec![] };
    let content = reader.content(record, today);
    match content {
        Some(content) if reader.faults.is_empty() => Ok(content),
        _ => Err(reader.faults),
    }
}

struct Reader<'a> {
    fields: Fields<'a>,
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    /// None only where a fault was told.
    fn content(&mut self, record: &Value, today: Date) -> Option<Content> {
        self.earlier_warnings();
        let title = self.title();
        let description = self.text("description", 20_000);
        let url = self.url();
        let source_id = self.source_id(record, url.as_deref());
        let arrangement = self.word("arrangement", arrangement).unwrap_or(Arrangement::OnSite);
        let job_location = self.place(arrangement);
        let target_regions = self.targets(arrangement);
        let base_salary = self.salary();
        let (total_job_openings, openings_per_county) = self.openings(arrangement, &target_regions);
        let (requirements, asked) = self.requirements();
        let (date_posted, valid_through) = self.dates(today);
        let hiring_organization = self.organization();
        let category = match self.word("category", Category::parse) {
            Some(category) => category,
            None => self.category(title.as_deref().unwrap_or(""), description.as_deref().unwrap_or("")),
        };
        let occupation = self.occupation(category, title.as_deref().unwrap_or(""));
        let employment_type = self.words("employment_type", employment_type);
        let job_immediate_start = self.fields.flag("job_immediate_start", &mut self.faults).unwrap_or(false);
        let job_benefits = self.words("job_benefits", benefits);
        let status = self.word("status", declared).unwrap_or(Declared::Open);
        let texts = [title.as_deref(), description.as_deref(), asked.as_deref(), base_salary.text.as_deref()];
        if texts[..3].iter().flatten().any(|t| requirements::restricts_sex(t)) {
            self.warn("sex_restriction_dropped");
        }
        if texts.iter().flatten().any(|t| requirements::speaks_of_fraud(t)) {
            self.warn("fraud_words");
        }
        Some(Content {
            source_id: source_id?,
            title: title?,
            description,
            category,
            occupation,
            hiring_organization,
            job_location,
            arrangement,
            target_regions,
            base_salary,
            total_job_openings,
            openings_per_county,
            employment_type,
            job_immediate_start,
            requirements,
            job_benefits,
            date_posted: date_posted?,
            valid_through: valid_through?,
            url,
            status,
            warnings: std::mem::take(&mut self.warnings),
        })
    }

    fn fault(&mut self, pointer: impl Into<String>, code: &'static str, detail: &str) {
        self.faults.push(Fault::new(pointer, code, detail));
    }

    fn warn(&mut self, code: &str) {
        if !self.warnings.iter().any(|w| w == code) {
            self.warnings.push(code.to_owned());
        }
    }

    fn text(&mut self, name: &str, most_chars: usize) -> Option<String> {
        self.fields.text(name, most_chars, &mut self.faults)
    }

    fn word<T>(&mut self, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.fields.word(name, read, &mut self.faults)
    }

    /// What an adapter warned of.
    fn earlier_warnings(&mut self) {
        if let Some(Value::Array(items)) = self.fields.get("warnings") {
            for warning in items.iter().filter_map(Value::as_str).filter(|w| !longer_than(w, 64) && !w.contains(char::is_control)).take(32)
            {
                self.warn(warning);
            }
        }
    }

    /// What the texts say; a guess is warned of.
    fn category(&mut self, title: &str, description: &str) -> Category {
        let (category, confidence) = category::read(title, description);
        if category != Category::Other && confidence < category::Confidence::Hint {
            self.warn("category_uncertain");
        }
        category
    }

    fn title(&mut self) -> Option<String> {
        let before = self.faults.len();
        let title = self.text("title", 200);
        if title.is_none() && self.faults.len() == before {
            self.fault("/title", "missing", "a posting needs a title");
        }
        title
    }

    fn url(&mut self) -> Option<String> {
        let url = self.text("url", 2000)?;
        let host = ["http://", "https://"]
            .iter()
            .find_map(|scheme| url.get(..scheme.len()).filter(|s| s.eq_ignore_ascii_case(scheme)).map(|_| &url[scheme.len()..]));
        let sound = host.is_some_and(|h| !h.is_empty() && !h.starts_with(['/', '?', '#', ':']))
            && !url.contains(|c: char| c.is_whitespace() || c.is_control());
        if !sound {
            self.fault("/url", "unknown_value", "an http or https address is wanted");
            return None;
        }
        Some(url)
    }

    /// The platform's id; where it gives none the posting's address, else the hash
    /// of the record.
    fn source_id(&mut self, record: &Value, url: Option<&str>) -> Option<String> {
        let before = self.faults.len();
        if let Some(id) = self.fields.code("source_id", 128, &mut self.faults) {
            if id.contains(char::is_control) {
                self.fault("/source_id", "unknown_value", "an id has no control characters");
                return None;
            }
            return Some(id);
        }
        if self.faults.len() > before {
            return None;
        }
        if let Some(url) = url.filter(|u| !longer_than(u, 128)) {
            return Some(url.to_owned());
        }
        self.warn("source_id_derived");
        let hash = Sha256::digest(canonical(record).as_bytes());
        Some(hash.iter().fold("sha256:".to_owned(), |id, byte| id + &format!("{byte:02x}")))
    }

    fn place(&mut self, arrangement: Arrangement) -> Place {
        let before = self.faults.len();
        let (place, alone) = self.fields.object_or_text("job_location", &mut self.faults);
        let text = match alone {
            Some(text) => sound(text, place.pointer(""), 500, &mut self.faults).map(str::to_owned),
            None => place.text("text", 500, &mut self.faults),
        };
        let context = place.text("context", 100, &mut self.faults);
        let code = place.code("region", 64, &mut self.faults);
        let region = match &code {
            Some(code) => match resolve_code(code) {
                // The whole country is no place of work.
                Ok(Region::NATION) => {
                    self.warn("region_unresolved");
                    None
                }
                Ok(region) => Some(region),
                Err(fault) => {
                    self.fault(place.pointer("region"), "unknown_value", unresolved(fault));
                    None
                }
            },
            None => {
                let reading = region::read(text.as_deref().unwrap_or(""), context.as_deref().unwrap_or(""));
                if let Some(warning) = reading.warning {
                    self.warn(warning);
                }
                reading.region
            }
        };
        let nowhere = text.is_none() && code.is_none();
        if nowhere && arrangement == Arrangement::OnSite && self.faults.len() == before {
            self.fault("/job_location", "missing", "work on site needs a place");
        }
        Place { text, region }
    }

    fn targets(&mut self, arrangement: Arrangement) -> Vec<Target> {
        let before = self.faults.len();
        let mut targets = Vec::new();
        for (member, pointer) in self.fields.members("target_regions", &mut self.faults) {
            let text = match member {
                Value::String(text) => text.trim().to_owned(),
                Value::Number(number) => number.to_string(),
                _ => {
                    self.fault(pointer, "invalid_type", "a code or set:NAME is wanted");
                    continue;
                }
            };
            let target = match text.strip_prefix("set:") {
                Some(name) => focus_set(name).map(|set| Target::Set(set.name.to_owned())).ok_or("no such set"),
                None => resolve_code(&text).map(Target::Region).map_err(unresolved),
            };
            match target {
                Ok(target) if targets.contains(&target) => {}
                Ok(target) => targets.push(target),
                Err(detail) => self.fault(pointer, "unknown_value", detail),
            }
        }
        if arrangement == Arrangement::InPlace && targets.is_empty() && self.faults.len() == before {
            let detail = "work in place needs the places that it comes to";
            self.fault("/target_regions", "target_regions_missing", detail);
        }
        targets
    }

    /// How many are wanted in all, and of each target county where that is bounded.
    /// Without a total it is what the counties come to.
    fn openings(&mut self, arrangement: Arrangement, targets: &[Target]) -> (u32, Option<u32>) {
        let total = self.fields.integer("total_job_openings", 1..=MOST_OPENINGS, &mut self.faults);
        let each = self.fields.integer("openings_per_county", 1..=MOST_OPENINGS, &mut self.faults);
        if each.is_some() && arrangement != Arrangement::InPlace {
            self.fault("/openings_per_county", "unknown_value", "seats are counted by county for work in place only");
            return (1, None);
        }
        let total = total.or_else(|| each.map(|each| each * counties(targets).leaves().count() as i64)).unwrap_or(1);
        if total > MOST_OPENINGS {
            let detail = "its counties together want more than 100000: a total is needed";
            self.fault("/openings_per_county", "out_of_range", detail);
        }
        (total as u32, each.map(|each| each as u32))
    }

    fn salary(&mut self) -> Pay {
        let (salary, alone) = self.fields.object_or_text("base_salary", &mut self.faults);
        let faults = &mut self.faults;
        let text = match alone {
            Some(text) => sound(text, salary.pointer(""), 500, faults).map(str::to_owned),
            None => salary.code("text", 500, faults),
        };
        let currency = salary.word("currency", currency, faults);
        let unit = salary.word("unit", unit, faults);
        let min = amount(&salary, "min", faults);
        let max = amount(&salary, "max", faults);
        let months = salary.integer("months_per_year", 1..=36, faults).map(|n| n as u8);
        if min > max && max.is_some() {
            faults.push(Fault::new(salary.pointer("min"), "out_of_range", "min is above max"));
        }
        let reading = pay::read(text.as_deref().unwrap_or(""));
        let currency = currency.unwrap_or_else(|| reading.pay.currency.clone());
        // Numbers given win over the text; two zeros are what some boards write
        // for pay that is not said.
        let given = [min, max].iter().flatten().any(|m| m.minor() > 0);
        let (unit, min, max) = if given {
            let usual = || (currency == "CNY").then(|| pay::usual_unit(min, max));
            (unit.or(reading.pay.unit.filter(|_| reading.unit_stated)).or_else(usual), min, max)
        } else {
            let stated = reading.pay.unit.filter(|_| reading.unit_stated);
            let said = reading.pay.min.is_some() || reading.pay.max.is_some();
            let unit = stated.or(unit).or(reading.pay.unit).filter(|_| said);
            (unit, reading.pay.min, reading.pay.max)
        };
        if !given && reading.warnings.contains(&"pay_unreadable") {
            self.warn("pay_unreadable");
        }
        if currency != "CNY" {
            self.warn("foreign_currency");
        }
        pay::compose(text, &currency, unit, min, max, months.or(reading.pay.months_per_year))
    }

    /// What is asked, and the text that says it.
    fn requirements(&mut self) -> (Requirements, Option<String>) {
        let (asked, alone) = self.fields.object_or_text("requirements", &mut self.faults);
        let text = match alone {
            Some(text) => sound(text, asked.pointer(""), 20_000, &mut self.faults).map(str::to_owned),
            None => asked.text("text", 20_000, &mut self.faults),
        };
        let mut age_min = asked.integer("age_min", requirements::AGES, &mut self.faults).map(|n| n as u8);
        let mut age_max = asked.integer("age_max", requirements::AGES, &mut self.faults).map(|n| n as u8);
        if age_min > age_max && age_max.is_some() {
            self.fault("/requirements/age_min", "out_of_range", "age_min is above age_max");
        }
        let mut skills: Vec<String> = Vec::new();
        for (member, pointer) in asked.members("skills", &mut self.faults) {
            match member.as_str().map(|code| Skill::parse(code.trim())) {
                Some(Some(skill)) if skills.iter().any(|s| s == skill.code()) => {}
                Some(Some(skill)) => skills.push(skill.code().to_owned()),
                Some(None) => self.fault(pointer, "unknown_value", "no such skill"),
                None => self.fault(pointer, "invalid_type", "a skill's code is wanted"),
            }
        }
        if let Some(text) = &text {
            let read = requirements::read(text);
            if asked.get("age_min").is_none() && asked.get("age_max").is_none() {
                (age_min, age_max) = (read.age_min, read.age_max);
            }
            if asked.get("skills").is_none() {
                skills = read.skills.into_iter().map(|s| s.code().to_owned()).collect();
            }
        }
        let no_matter = |v: &Value| {
            v.as_str().is_some_and(|s| ["", "不限", "无", "any", "all", "both", "none"].contains(&s.trim().to_lowercase().as_str()))
        };
        if ["gender", "sex"].iter().filter_map(|key| asked.get(key)).any(|v| !no_matter(v)) {
            self.warn("sex_restriction_dropped");
        }
        (Requirements { age_min, age_max, skills }, text)
    }

    fn dates(&mut self, today: Date) -> (Option<Date>, Option<Date>) {
        let posted = match self.date("date_posted") {
            None => Some(today),
            Some(Ok(date)) if date > today.saturating_add(1.day()) => {
                self.fault("/date_posted", "out_of_range", "more than a day ahead");
                None
            }
            Some(date) => date.ok(),
        };
        let through = match (self.date("valid_through"), posted) {
            (None, posted) => posted.map(|p| p.saturating_add(DAYS_OPEN.days())),
            (Some(Ok(date)), Some(posted)) if date < posted => {
                self.fault("/valid_through", "out_of_range", "before date_posted");
                None
            }
            (Some(date), _) => date.ok(),
        };
        (posted, through)
    }

    /// None where it is left out, an error where a fault was told.
    fn date(&mut self, name: &str) -> Option<Result<Date, ()>> {
        let read = match self.fields.get(name)? {
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => dates::read(text),
            Value::Number(number) => number.as_i64().and_then(dates::epoch),
            _ => {
                self.fault(format!("/{name}"), "invalid_type", "a date is wanted");
                return Some(Err(()));
            }
        };
        if read.is_none() {
            self.fault(format!("/{name}"), "unreadable", "not a date");
        }
        Some(read.ok_or(()))
    }

    fn organization(&mut self) -> Organization {
        let (organization, alone) = self.fields.object_or_text("hiring_organization", &mut self.faults);
        let name = match alone {
            Some(name) => sound(name, organization.pointer(""), 200, &mut self.faults).map(str::to_owned),
            None => organization.text("name", 200, &mut self.faults),
        };
        let usual = if name.is_none() { OrganizationKind::Platform } else { OrganizationKind::Other };
        let kind = organization.word("kind", kind, &mut self.faults).unwrap_or(usual);
        Organization { name, kind }
    }

    fn occupation(&mut self, category: Category, title: &str) -> Option<Occupation> {
        match self.fields.get("occupation") {
            Some(Value::Object(object)) => {
                let given = Fields::at(Some(object), "/occupation");
                let gb = given.text("gb", 32, &mut self.faults);
                let isco08 = given.text("isco08", 32, &mut self.faults);
                (gb.is_some() || isco08.is_some()).then_some(Occupation { gb, isco08 })
            }
            Some(_) => {
                self.fault("/occupation", "invalid_type", "an object is wanted");
                None
            }
            None => category::occupation(category, title),
        }
    }

    /// A list of words, each read into none, one or several of ours.
    fn words(&mut self, name: &str, read: fn(&str) -> Vec<String>) -> Vec<String> {
        let members = self.fields.members(name, &mut self.faults);
        if members.len() > 20 {
            self.fault(format!("/{name}"), "too_long", "at most 20 words");
            return vec![];
        }
        let mut words: Vec<String> = Vec::new();
        for (member, pointer) in members {
            let Some(text) = member.as_str() else {
                self.fault(pointer, "invalid_type", "a text is wanted");
                continue;
            };
            for word in sound(text, pointer, 64, &mut self.faults).map(read).unwrap_or_default() {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
        }
        words
    }
}

/// An amount as a number or a text of one.
fn amount(salary: &Fields, name: &str, faults: &mut Vec<Fault>) -> Option<Money> {
    let units = match salary.get(name)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.trim().is_empty() => return None,
        Value::String(text) => text.trim().replace(',', "").parse::<f64>().ok().filter(|n| n.is_finite()),
        _ => None,
    };
    match units {
        None => faults.push(Fault::new(salary.pointer(name), "invalid_type", "a number is wanted")),
        Some(n) if n < 0.0 || n * 100.0 > Money::MAX.minor() as f64 => {
            faults.push(Fault::new(salary.pointer(name), "out_of_range", "not an amount of pay"));
        }
        Some(n) => return Some(Money::from_minor((n * 100.0).round() as i64)),
    }
    None
}

fn unresolved(fault: RegionFault) -> &'static str {
    match fault {
        RegionFault::Unknown => "no such division",
        RegionFault::Ambiguous => "retired, with more or fewer than one successor",
    }
}

#[cfg(test)]
mod tests;
