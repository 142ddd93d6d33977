//! A report as SDMX-CSV 2.0 (SDMX 3.0): one line for each observation.
//!
//! The dataflow is `DOORSTEP:EMPLOYMENT(1.0)`, after the report's name; a report
//! that is split has a dataflow of its own, `DOORSTEP:EMPLOYMENT_BY_PLATFORM(1.0)`,
//! since a dataflow has one set of dimensions. A ratio is three indicators: NAME,
//! NAME_numerator, NAME_denominator. What is unknown has the status O, what is not
//! published Q (codes of CL_OBS_STATUS), both without a value. Totals are left out:
//! who loads the file sums itself, and not every column may be summed.

use super::csv::guarded;
use super::report::{Report, Row, Value};

/// Codes of CL_OBS_STATUS: normal, missing, suppressed.
const NORMAL: &str = "A";
const MISSING: &str = "O";
const SUPPRESSED: &str = "Q";
/// The code for 'not applicable' in SDMX code lists.
const NOT_APPLICABLE: &str = "_Z";

pub(super) fn write(report: &Report) -> Vec<u8> {
    // After the region and its name, which is a label and no dimension.
    let parts = report.keys.get(2..).unwrap_or_default();
    let mut flow = report.name.to_uppercase();
    if !parts.is_empty() {
        flow += &format!("_BY_{}", parts.iter().map(|k| k.name.to_uppercase()).collect::<Vec<_>>().join("_"));
    }
    let flow = format!("DOORSTEP:{flow}(1.0)");
    let mut out = Vec::new();
    let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(&mut out);
    let mut put = |record: Vec<String>| writer.write_record(record).expect("a vector takes every record of one length");
    let header = ["STRUCTURE", "STRUCTURE_ID", "ACTION", "REF_AREA", "TIME_PERIOD", "AXIS"].map(str::to_owned).into_iter();
    let header = header.chain(parts.iter().map(|k| k.name.to_uppercase()));
    put(header.chain(["INDICATOR", "OBS_VALUE", "UNIT_MEASURE", "OBS_STATUS"].map(str::to_owned)).collect());
    for row in &report.rows {
        let key = |at: usize| row.keys.get(at).and_then(Option::as_deref).map_or_else(|| NOT_APPLICABLE.to_owned(), guarded);
        let mut front = vec!["dataflow".to_owned(), flow.clone(), "I".to_owned(), key(0), report.period.sdmx()];
        front.push(report.axis.code().to_owned());
        front.extend((2..2 + parts.len()).map(key));
        for (indicator, value, unit, status) in observations(report, row) {
            let rest = [indicator, value, unit.to_owned(), status.to_owned()];
            put(front.iter().cloned().chain(rest).collect());
        }
    }
    drop(writer);
    out
}

type Observation = (String, String, &'static str, &'static str);

fn observations(report: &Report, row: &Row) -> Vec<Observation> {
    let mut all = Vec::new();
    for (column, value) in report.columns.iter().zip(&row.values) {
        let unit = column.unit.code();
        // Of what a ratio is made has the unit of no column.
        let named = |part: &str| format!("{}{part}", column.name);
        let mut put = |part: &str, value: Result<String, &'static str>| {
            let unit = if part.is_empty() { unit } else { "count" };
            let (text, status) = value.map_or_else(|status| (String::new(), status), |text| (text, NORMAL));
            all.push((named(part), text, unit, status));
        };
        let every = |status: &'static str| [("", Err(status)), ("_numerator", Err(status)), ("_denominator", Err(status))];
        let fields = if column.ratio { 3 } else { 1 };
        match *value {
            Value::Count(n) => put("", Ok(n.to_string())),
            Value::Number(x) => put("", Ok(x.to_string())),
            Value::Unknown => every(MISSING).into_iter().take(fields).for_each(|(part, v)| put(part, v)),
            Value::Suppressed { .. } => every(SUPPRESSED).into_iter().take(fields).for_each(|(part, v)| put(part, v)),
            Value::Ratio { numerator, denominator } => {
                put("", column.quotient(numerator, denominator).map(|x| x.to_string()).ok_or(MISSING));
                put("_numerator", Ok(numerator.to_string()));
                put("_denominator", Ok(denominator.to_string()));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;
    use crate::domain::time::Period;

    fn lines(report: &Report) -> Vec<String> {
        String::from_utf8(report.to_sdmx_csv()).unwrap().split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn each_figure_is_an_observation_under_its_dimensions() {
        let mut report = sample();
        report.period = Period::parse("2020Q3").unwrap();
        let front = "dataflow,DOORSTEP:EMPLOYMENT_BY_PLATFORM(1.0),I";
        assert_eq!(
            lines(&report),
            [
                "STRUCTURE,STRUCTURE_ID,ACTION,REF_AREA,TIME_PERIOD,AXIS,PLATFORM,INDICATOR,OBS_VALUE,UNIT_MEASURE,OBS_STATUS".to_owned(),
                format!("{front},522600,2020-Q3,home,meituan,total,3,person,A"),
                format!("{front},522600,2020-Q3,home,meituan,baseline,4,person,A"),
                format!("{front},522600,2020-Q3,home,meituan,share,0.75,ratio,A"),
                format!("{front},522600,2020-Q3,home,meituan,share_numerator,3,count,A"),
                format!("{front},522600,2020-Q3,home,meituan,share_denominator,4,count,A"),
                format!("{front},520100,2020-Q3,home,meituan,total,2,person,A"),
                format!("{front},520100,2020-Q3,home,meituan,baseline,,person,O"),
                format!("{front},520100,2020-Q3,home,meituan,share,,ratio,O"),
                format!("{front},520100,2020-Q3,home,meituan,share_numerator,2,count,A"),
                format!("{front},520100,2020-Q3,home,meituan,share_denominator,0,count,A"),
                String::new(),
            ]
        );
    }

    #[test]
    fn a_report_that_is_not_split_is_a_dataflow_of_its_own_and_what_is_hidden_has_no_value() {
        let mut report = sample();
        report.keys.truncate(2);
        report.rows.iter_mut().for_each(|row| row.keys.truncate(2));
        report.rows[0].values[0] = Value::Suppressed { below: 5 };
        report.rows[0].values[2] = Value::Suppressed { below: 5 };
        let lines = lines(&report);
        assert!(lines[0].contains(",AXIS,INDICATOR,"));
        assert_eq!(lines[1], "dataflow,DOORSTEP:EMPLOYMENT(1.0),I,522600,2020-09,home,total,,person,Q");
        assert_eq!(lines[5], "dataflow,DOORSTEP:EMPLOYMENT(1.0),I,522600,2020-09,home,share_denominator,,count,Q");
    }
}
