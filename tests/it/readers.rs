//! Bodies that mean harm, and bodies of chance: every reader bounds what it holds,
//! says no in words, and reads back what was written.

use crate::harness::memory::most_held;
use doorstep::adapter::{Adapter, Adapters, Folder, Format, Outcome};
use doorstep::domain::{normalize, region};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::sync::LazyLock;

/// One reader of each form, whose mapping keeps the record as it is.
static READERS: LazyLock<Vec<(Format, Adapter)>> = LazyLock::new(|| {
    let reader = |format: &str, more: &str| {
        let toml = format!("name = \"trial\"\nformat = \"{format}\"\n{more}");
        let mapping = "{% set source_id = opt('/id') %}{% set title = opt('/t') %}{% set description = opt('/d') %}";
        Adapter::load(&Folder::texts("trial", &[("adapter.toml", &toml), ("mapping.jinja", mapping)])).unwrap()
    };
    vec![
        (Format::Json, reader("json", "")),
        (Format::Ndjson, reader("ndjson", "")),
        (Format::Csv, reader("csv", "encoding = \"gb18030\"")),
        (Format::Xml, reader("xml", "records = \"/r/i\"")),
        (Format::Xlsx, reader("xlsx", "")),
        (Format::Html, reader("html", "")),
    ]
});

fn reader(format: Format) -> &'static Adapter {
    &READERS.iter().find(|(f, _)| *f == format).unwrap().1
}

/// Reads a body whole.
fn read(format: Format, body: &[u8]) -> Fate {
    let records = reader(format).read_as(format, body).inspect_err(|e| println!("{e}")).map_err(|e| e.code())?;
    let (mut mapped, mut rejected) = (0, 0);
    for record in records {
        match record.outcome {
            Outcome::Mapped(_) | Outcome::Skipped(_) => mapped += 1,
            Outcome::Rejected(..) => rejected += 1,
        }
    }
    Ok((mapped, rejected))
}

/// A ZIP of these files, deflated; `claimed` replaces the sizes that it tells.
fn zip(files: &[(&str, Vec<u8>)], claimed: Option<u32>) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        deflated.write_all(content).unwrap();
        let packed = deflated.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let size = claimed.unwrap_or(content.len() as u32);
        let mut head = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        head.extend(crc.sum().to_le_bytes());
        head.extend((packed.len() as u32).to_le_bytes());
        head.extend(size.to_le_bytes());
        head.extend((name.len() as u16).to_le_bytes());
        head.extend([0, 0]);
        let at = out.len() as u32;
        out.extend(b"PK\x03\x04".iter().chain(&head).chain(name.as_bytes()).chain(&packed));
        directory.extend(b"PK\x01\x02\x14\x00".iter().chain(&head));
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, n) = (out.len() as u32, files.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(n.to_le_bytes().iter().chain(&n.to_le_bytes()));
    out.extend((directory.len() as u32).to_le_bytes().iter().chain(&at.to_le_bytes()).chain(&[0, 0]));
    out
}

/// A workbook with this sheet and these shared texts.
fn workbook(sheet: Vec<u8>, texts: Vec<u8>) -> Vec<u8> {
    zip(&workbook_files(sheet, texts), None)
}

fn workbook_files(sheet: Vec<u8>, texts: Vec<u8>) -> Vec<(&'static str, Vec<u8>)> {
    let types = r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>"#;
    let book = r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
    let rels = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;
    let root = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
    vec![
        ("[Content_Types].xml", types.into()),
        ("_rels/.rels", root.into()),
        ("xl/workbook.xml", book.into()),
        ("xl/_rels/workbook.xml.rels", rels.into()),
        ("xl/worksheets/sheet1.xml", sheet),
        ("xl/sharedStrings.xml", texts),
    ]
}

fn sheet(rows: &str) -> Vec<u8> {
    format!(r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>"#)
        .into()
}

const NO_TEXTS: &[u8] = br#"<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>"#;

/// What becomes of a body: how many records were mapped and rejected, or the code of
/// its refusal.
type Fate = Result<(usize, usize), &'static str>;

/// Every bomb: its name, form, body and fate.
fn bombs() -> Vec<(&'static str, Format, Vec<u8>, Fate)> {
    let mib = |n: usize, c: &str| c.repeat((n << 20) / c.len());
    let deep_xml = format!("<r><i>{}{}</i></r>", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let laughs = (0..10).map(|n| format!("<!ENTITY l{} \"{}\">", n + 1, format!("&l{n};").repeat(10))).collect::<String>();
    let laughs = format!("<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY l0 \"ha\">{laughs}]><r><i><t>&l10;</t></i></r>");
    let external = "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><r><i><t>&x;</t></i></r>";
    let attributes = (0..100_000).map(|n| format!(" a{n}=\"\"")).collect::<String>();
    let far =
        sheet(r#"<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>"#);
    let cells: String = (1..=1_300_000).map(|n| format!("<row r=\"{n}\"><c r=\"A{n}\"><v>1</v></c></row>")).collect();
    let text = format!("<si><t>{}</t></si>", mib(20, "x"));
    let texts = [NO_TEXTS.strip_suffix(b"/>").unwrap(), b">", text.as_bytes(), b"</sst>"].concat();
    let nothing = vec![b' '; 80 << 20];
    vec![
        ("lists 100,000 deep", Format::Json, "[".repeat(100_000).into(), Err("too_deep")),
        ("objects 100,000 deep", Format::Json, "{\"a\":".repeat(100_000).into(), Err("too_deep")),
        (
            "a line 100,000 deep",
            Format::Ndjson,
            format!("{}1{}\n{{\"id\":1}}", "{\"a\":".repeat(100_000), "}".repeat(100_000)).into(),
            Ok((1, 1)),
        ),
        ("a text of 60 MiB", Format::Json, format!("[{{\"t\":\"{}\"}},{{\"id\":2}}]", mib(60, "x")).into(), Ok((1, 1))),
        ("a million empty records", Format::Json, format!("[{}{{}}]", "{},".repeat(999_999)).into(), Ok((1_000_000, 0))),
        (
            "100,000 members",
            Format::Json,
            format!("{{{}\"z\":1}}", (0..100_000).map(|n| format!("\"a{n}\":1,")).collect::<String>()).into(),
            Ok((0, 1)),
        ),
        ("half a surrogate", Format::Json, r#"[{"t":"\ud800"},{"id":1}]"#.into(), Ok((1, 1))),
        ("a number beyond all", Format::Json, format!("[{{\"id\":1{}}},{{\"id\":1}}]", "0".repeat(5000)).into(), Ok((1, 1))),
        ("entities of entities", Format::Xml, laughs.into(), Err("xml_invalid")),
        ("a file as an entity", Format::Xml, external.into(), Err("xml_invalid")),
        ("elements 100,000 deep", Format::Xml, deep_xml.into(), Err("too_deep")),
        ("100,000 attributes", Format::Xml, format!("<r><i{attributes}/><i><id>1</id></i></r>").into(), Ok((1, 1))),
        ("an element of 60 MiB", Format::Xml, format!("<r><i><t>{}</t></i><i><id>1</id></i></r>", mib(60, "x")).into(), Ok((1, 1))),
        ("a quote that is not closed", Format::Csv, format!("id,t\n1,a\n2,\"{}", mib(60, "x,y\n")).into(), Ok((1, 1))),
        ("a million columns", Format::Csv, "a,".repeat(1_000_000).into(), Err("csv_invalid")),
        ("a header of 60 MiB", Format::Csv, mib(60, "x").into(), Err("csv_invalid")),
        ("bytes of no encoding", Format::Json, vec![0xff; 1 << 20], Err("encoding_invalid")),
        ("a sheet of 80 MiB in 80 KiB", Format::Xlsx, workbook(nothing.clone(), NO_TEXTS.into()), Err("xlsx_invalid")),
        ("the same that claims to be small", Format::Xlsx, zip(&workbook_files(nothing, NO_TEXTS.into()), Some(10)), Err("xlsx_invalid")),
        ("shared texts of 20 MiB", Format::Xlsx, workbook(sheet(""), texts), Err("xlsx_invalid")),
        ("a cell in the farthest corner", Format::Xlsx, workbook(far, NO_TEXTS.into()), Err("xlsx_invalid")),
        ("more cells than a sheet needs", Format::Xlsx, workbook(sheet(&cells), NO_TEXTS.into()), Err("xlsx_invalid")),
        ("a ZIP that is none", Format::Xlsx, [b"PK\x03\x04".as_slice(), &[0; 1000]].concat(), Err("xlsx_invalid")),
        ("a page of 60 MiB", Format::Html, mib(60, "<p>").into(), Err("records_missing")),
        (
            "a script 100,000 deep",
            Format::Html,
            format!("<script type=\"application/ld+json\">{}</script>", "[".repeat(100_000)).into(),
            Err("too_deep"),
        ),
    ]
}

#[test]
fn bombs_are_refused_and_hold_little_memory() {
    let mut heavy = Vec::new();
    LazyLock::force(&READERS);
    // What the bombs are made like is read where it is no bomb.
    let good = r#"<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row><row r="2"><c r="A2"><v>7</v></c></row>"#;
    let texts = br#"<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>id</t></si><si><t>t</t></si></sst>"#;
    let padded = [sheet(good), vec![b' '; 8 << 20]].concat();
    assert_eq!(read(Format::Xlsx, &workbook(padded, texts.to_vec())), Ok((1, 0)));
    for (name, format, body, expected) in bombs() {
        let started = std::time::Instant::now();
        let (found, held) = most_held(|| read(format, &body));
        println!("{name}: {found:?}, {:.1} MiB beside a body of {:.1} MiB, {:?}", mib(held), mib(body.len()), started.elapsed());
        assert_eq!(found, expected, "{name}");
        if held > 64 << 20 {
            heavy.push((name, held >> 20));
        }
    }
    assert!(heavy.is_empty(), "{heavy:?} MiB");
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A text as feeds have it: any character, quotes and line ends among them.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", "[一-龥，。（）]{1,12}", "\\PC{0,12}", "[\"',;<>&\\[\\]{}\n\t]{0,8}"].prop_map(|t| t.trim().to_owned())
}

fn any_record() -> impl Strategy<Value = (u32, String, String)> {
    // A blank row of a table is no record, so each has an id.
    (1u32..1_000_000, any_text(), any_text())
}

/// What a body of these records comes to, without what is empty.
fn expected(records: &[(u32, String, String)]) -> Vec<Value> {
    let one = |(id, t, d): &(u32, String, String)| {
        let mut record = Map::from_iter([("source_id".to_owned(), json!(id.to_string()))]);
        for (name, text) in [("title", t), ("description", d)] {
            if !text.is_empty() {
                record.insert(name.to_owned(), json!(text));
            }
        }
        Value::Object(record)
    };
    records.iter().map(one).collect()
}

fn mapped(format: Format, body: &[u8]) -> Vec<Value> {
    let records = reader(format).read_as(format, body).unwrap_or_else(|e| panic!("{e}"));
    let one = |outcome| match outcome {
        Outcome::Mapped(Value::Object(mut record)) => {
            record.retain(|_, v| v != "");
            Value::Object(record)
        }
        other => panic!("{other:?}"),
    };
    records.map(|r| one(r.outcome)).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(']', "&#93;").replace('\n', "&#10;").replace('\t', "&#9;")
}

fn written(format: Format, records: &[(u32, String, String)]) -> Vec<u8> {
    let objects: Vec<Value> = records.iter().map(|(id, t, d)| json!({"id": id, "t": t, "d": d})).collect();
    match format {
        Format::Json => json!(objects).to_string().into(),
        Format::Ndjson => objects.iter().map(|o| o.to_string() + "\n").collect::<String>().into(),
        Format::Html => {
            format!("<html><script type=\"application/ld+json\">{}</script></html>", json!(objects).to_string().replace('<', "\\u003c"))
                .into()
        }
        Format::Xml => {
            let one = |(id, t, d): &(u32, String, String)| format!("<i><id>{id}</id><t>{}</t><d>{}</d></i>", escaped(t), escaped(d));
            format!("<r>{}</r>", records.iter().map(one).collect::<String>()).into()
        }
        Format::Csv => {
            let mut out = csv::Writer::from_writer(Vec::new());
            out.write_record(["id", "t", "d"]).unwrap();
            records.iter().for_each(|(id, t, d)| out.write_record([&id.to_string(), t, d]).unwrap());
            out.into_inner().unwrap()
        }
        Format::Xlsx => {
            let mut book = rust_xlsxwriter::Workbook::new();
            let sheet = book.add_worksheet();
            for (column, name) in ["id", "t", "d"].into_iter().enumerate() {
                sheet.write_string(0, column as u16, name).unwrap();
            }
            for (row, (id, t, d)) in records.iter().enumerate() {
                sheet.write_string(row as u32 + 1, 0, id.to_string()).unwrap();
                sheet.write_string(row as u32 + 1, 1, t).unwrap();
                sheet.write_string(row as u32 + 1, 2, d).unwrap();
            }
            book.save_to_buffer().unwrap()
        }
    }
}

/// Characters that XML 1.0 (§2.2) does not have, or that its readers fold.
fn fits(format: Format, text: &str) -> bool {
    let marked = text.contains(|c: char| {
        matches!(c, '\u{FFFE}' | '\u{FFFF}' | '\r' | '\u{85}' | '\u{2028}') || (c.is_control() && !matches!(c, '\n' | '\t'))
    });
    match format {
        Format::Xml => !marked,
        // _x0007_ is Excel's own way of writing a control character.
        Format::Xlsx => !marked && !text.contains("_x"),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read_back(records in prop::collection::vec(any_record(), 1..8)) {
        for (format, _) in READERS.iter() {
            if records.iter().all(|(_, t, d)| fits(*format, t) && fits(*format, d)) {
                prop_assert_eq!(mapped(*format, &written(*format, &records)), expected(&records), "{:?}", format);
            }
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for (format, _) in READERS.iter() {
            let _ = read(*format, &bytes);
        }
    }

    #[test]
    fn no_damage_to_a_body_makes_a_reader_panic(
        records in prop::collection::vec(any_record(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        for (format, _) in READERS.iter() {
            let mut body = written(*format, &records);
            for (at, byte) in &damage {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            let _ = read(*format, &body);
            body.truncate(cut.index(body.len()));
            let _ = read(*format, &body);
        }
    }

    #[test]
    fn no_text_makes_the_normalizer_panic_or_contradict_itself(text in "\\PC{0,40}", title in "\\PC{0,40}") {
        let row = normalize::row(&title, &text, &text, &title);
        let pay = normalize::pay(&text).pay;
        if let (Some(min), Some(max)) = (pay.min, pay.max) {
            prop_assert!(min <= max, "{text:?}");
        }
        if let (Some(min), Some(max)) = (pay.monthly_min, pay.monthly_max) {
            prop_assert!(min <= max, "{text:?}");
        }
        if let Some(code) = row["region"].as_str() {
            prop_assert!(region::Region::parse(code).is_some(), "{text:?} is {code}");
        }
        // White space around it means nothing.
        prop_assert_eq!(&normalize::row(&format!(" {title} "), &format!("\u{3000}{text}\n"), &text, &title)["category"], &row["category"]);
        prop_assert_eq!(normalize::pay(&format!(" {text}\u{3000}")).pay.min, pay.min);
    }

    #[test]
    fn wages_written_in_any_form_are_read_as_meant(low in 10u32..200, more in 0u32..100, form in 0usize..8, unit in 0usize..4) {
        let (word, code, factor) = [("月", "MONTH", 100), ("天", "DAY", 1), ("小时", "HOUR", 1), ("周", "WEEK", 10)][unit];
        let (low, high) = (low * factor, (low + more) * factor);
        let wide = |n: u32| n.to_string().chars().map(|c| char::from_u32(c as u32 + 0xFEE0).unwrap()).collect::<String>();
        let text = match form {
            0 => format!("{low}-{high}元/{word}"),
            1 => format!("{low}～{high}元／{word}"),
            2 => format!("{low} 至 {high} 元每{word}"),
            3 => format!("¥{low}-{high}/{word}"),
            4 => format!("{}－{}元/{word}", wide(low), wide(high)),
            5 => format!("{low}元-{high}元/{word}"),
            6 => format!("薪资：{low}—{high}元/{word}，包吃住"),
            _ => format!("{low}到{high}块/{word}"),
        };
        let pay = normalize::pay(&text).pay;
        prop_assert_eq!(serde_json::to_value(pay.unit).unwrap(), json!(code), "{}", text);
        prop_assert_eq!((json!(pay.min), json!(pay.max)), (json!(low), json!(high)), "{}", text);
    }
}

#[test]
fn every_division_is_found_by_the_path_of_its_names() {
    let table = include_str!("../../config/tables/divisions.csv");
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|l| l.starts_with(|c: char| c.is_ascii_digit())).map(|l| l.split(',').collect()).collect();
    let by_code = |code: &str| rows.iter().find(|r| r[0] == code);
    let mut missed = Vec::new();
    for row in &rows {
        let (code, name) = (row[0], row[1]);
        let mut path = vec![name];
        let mut at = row[2];
        while let Some(parent) = by_code(at) {
            path.insert(0, parent[1]);
            at = parent[2];
        }
        // With a province before it, joined and parted; a county also under its prefecture alone.
        let mut texts = vec![path.concat(), path.join("·"), path.join(" ")];
        if path.len() == 3 {
            texts.push(path[1..].concat());
        }
        for text in texts {
            let found = normalize::region(&text, "").region.map(|r| r.to_string());
            if found.as_deref() != Some(code) {
                missed.push(format!("{text}: {found:?}, not {code}"));
            }
        }
    }
    assert!(missed.is_empty(), "{} of {}: {:#?}", missed.len(), rows.len(), &missed[..missed.len().min(20)]);
}

#[test]
fn adapters_that_ship_survive_damaged_samples() {
    let adapters = Adapters::builtin().unwrap_or_else(|p| panic!("{p:?}"));
    for adapter in adapters.iter() {
        for sample in adapter.samples() {
            for step in 1..40 {
                let mut body = sample.body.to_vec();
                let at = body.len() * step / 40;
                body[at] ^= 0x5a;
                let _ = adapter.read(&body).map(|records| records.count());
                body.truncate(at);
                let _ = adapter.read(&body).map(|records| records.count());
            }
        }
    }
}
