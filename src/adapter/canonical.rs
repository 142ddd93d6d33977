//! How a table's row is given the shape of a record when no mapping does it.

use serde_json::{Map, Value};

/// Lists, written in one cell with `|` between their parts.
const LISTS: [&str; 4] = ["target_regions", "employment_type", "job_benefits", "requirements.skills"];

/// Numbers, which a cell holds as text.
const NUMBERS: [&str; 9] = [
    "total_job_openings",
    "openings_per_county",
    "base_salary.min",
    "base_salary.max",
    "base_salary.months_per_year",
    "base_salary.monthly_min",
    "base_salary.monthly_max",
    "requirements.age_min",
    "requirements.age_max",
];

/// Gives a row whose columns are named `job_location.text` the shape of a record.
/// An empty cell is an absent field; what cannot be read as a number stays text,
/// for the normalizer to refuse with the field's name.
pub(super) fn nest(row: Map<String, Value>) -> Value {
    let mut record = Map::new();
    for (path, cell) in row {
        let cell = match cell {
            Value::Null => continue,
            Value::String(text) if text.trim().is_empty() => continue,
            Value::String(text) if LISTS.contains(&path.as_str()) => {
                text.split('|').map(str::trim).filter(|part| !part.is_empty()).map(Value::from).collect()
            }
            Value::String(text) if NUMBERS.contains(&path.as_str()) => super::text::only_number(&text).unwrap_or(Value::String(text)),
            cell => cell,
        };
        match path.split_once('.') {
            None => {
                record.insert(path, cell);
            }
            Some((outer, inner)) => {
                let entry = record.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(fields) = entry {
                    fields.insert(inner.to_owned(), cell);
                }
            }
        }
    }
    Value::Object(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_becomes_a_record_with_its_lists_and_numbers() {
        let row = json!({
            "title": "分拣员", "job_location.text": "贵州省榕江县", "target_regions": "522632| set:listed-52",
            "total_job_openings": "20", "openings_per_county": "3", "base_salary.min": "5000", "requirements.age_max": "五十", "url": " ",
        });
        let Value::Object(row) = row else { unreachable!() };
        assert_eq!(
            nest(row),
            json!({
                "title": "分拣员", "job_location": {"text": "贵州省榕江县"},
                "target_regions": ["522632", "set:listed-52"], "total_job_openings": 20, "openings_per_county": 3,
                "base_salary": {"min": 5000}, "requirements": {"age_max": "五十"},
            })
        );
    }
}
