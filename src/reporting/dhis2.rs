//! A report as the JSON that DHIS2 takes at `/api/dataValueSets`.
//!
//! Region codes are codes of organisation units and `REPORT.COLUMN` those of
//! data elements. A row that is split further names its parts as the category
//! option combination, all of them behind each other (`alpha.delivery_rider`), else they
//! would overwrite each other; figures by
//! place of work stand under the attribute option `work`, apart from those by
//! home. What is unknown or not published is left out, and so are the totals: DHIS2 sums itself.

use super::query::Axis;
use super::report::{Report, Value};
use serde_json::{Value as Json, json};

pub(super) fn write(report: &Report) -> Json {
    let mut values = Vec::new();
    for row in &report.rows {
        let parts = report.keys.iter().zip(&row.keys).skip(1).filter(|(key, _)| !key.is_label());
        let parts: Vec<&str> = parts.filter_map(|(_, part)| part.as_deref()).collect();
        let mut put = |element: String, value: String| {
            let mut entry = json!({
                "dataElement": format!("{}.{element}", report.name),
                "period": report.period.dhis2(),
                "orgUnit": row.keys.first(),
                "value": value,
            });
            if !parts.is_empty() {
                entry["categoryOptionCombo"] = json!(parts.join("."));
            }
            if report.axis == Axis::Work {
                entry["attributeOptionCombo"] = json!(Axis::Work.code());
            }
            values.push(entry);
        };
        for (column, value) in report.columns.iter().zip(&row.values) {
            match *value {
                Value::Count(n) => put(column.name.to_owned(), n.to_string()),
                Value::Number(x) => put(column.name.to_owned(), x.to_string()),
                Value::Unknown | Value::Suppressed { .. } => {}
                Value::Ratio { numerator, denominator } => {
                    if let Some(x) = column.quotient(numerator, denominator) {
                        put(column.name.to_owned(), x.to_string());
                    }
                    put(format!("{}_numerator", column.name), numerator.to_string());
                    put(format!("{}_denominator", column.name), denominator.to_string());
                }
            }
        }
    }
    json!({"dataElementIdScheme": "CODE", "orgUnitIdScheme": "CODE", "categoryOptionComboIdScheme": "CODE", "dataValues": values})
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn every_figure_of_a_row_is_a_data_value_and_totals_are_left_out() {
        let body = sample().to_dhis2();
        let values = body["dataValues"].as_array().unwrap();
        assert_eq!(
            values[0],
            json!({"dataElement": "employment.total", "period": "202009", "orgUnit": "522600", "value": "3", "categoryOptionCombo": "meituan"})
        );
        assert_eq!(values[2]["dataElement"], "employment.share");
        assert_eq!(values[2]["value"], "0.75");
        assert_eq!(values.len(), 5 + 3, "what is unknown is left out");
        assert!(values.iter().all(|v| v["orgUnit"] != "520000"));
    }

    #[test]
    fn rows_of_several_parts_do_not_overwrite_each_other() {
        use super::super::report::Key;
        let mut report = sample();
        let names = ["region", "name", "zone", "work_region", "work_name", "work_zone", "category"];
        report.keys = names.map(|name| Key { name, title: name }).to_vec();
        for (row, n) in report.rows.iter_mut().zip(0..) {
            let part = format!("33000{n}");
            row.keys = ["520000", "贵州省", "west", &part, "浙江省", "east", "driver"].map(|key| Some(key.to_owned().into())).to_vec();
        }
        let body = report.to_dhis2();
        let values = body["dataValues"].as_array().unwrap();
        assert_eq!(values[0]["categoryOptionCombo"], "330000.driver");
        let identities: std::collections::BTreeSet<String> =
            values.iter().map(|v| format!("{} {} {}", v["dataElement"], v["orgUnit"], v["categoryOptionCombo"])).collect();
        assert_eq!(identities.len(), values.len());
    }

    #[test]
    fn figures_by_place_of_work_stand_apart() {
        let mut report = sample();
        report.axis = Axis::Work;
        assert_eq!(report.to_dhis2()["dataValues"][0]["attributeOptionCombo"], "work");
    }
}
