use super::*;
use std::time::{Duration, Instant};

fn adapter(toml: &str, mapping: &str) -> Adapter {
    try_load(toml, mapping).unwrap_or_else(|problems| panic!("{}", lines(&problems)))
}

fn try_load(toml: &str, mapping: &str) -> Result<Adapter, Vec<Problem>> {
    let toml = format!("name = \"trial\"\n{toml}");
    Adapter::load(&Folder::texts("adapters/trial", &[("adapter.toml", &toml), ("mapping.jinja", mapping)]))
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Each record in one line: what it became, or pointer, code and detail.
fn check(adapter: &Adapter, body: &[u8], expected: &[&str]) {
    let records = adapter.read(body).unwrap_or_else(|error| panic!("{error}"));
    let found: Vec<String> = records
        .map(|record| match record.outcome {
            Outcome::Mapped(value) => value.to_string(),
            Outcome::Skipped(reason) => format!("skipped: {reason}"),
            Outcome::Rejected(fault, id) => {
                format!("{} {} {} {}", id.unwrap_or_default(), fault.pointer, fault.code, fault.detail)
            }
        })
        .collect();
    assert_eq!(found, expected);
}

fn refused(adapter: &Adapter, body: &[u8]) -> BodyError {
    match adapter.read(body) {
        Ok(_) => panic!("the body was read"),
        Err(error) => error,
    }
}

const JSON: &str = "format = \"json\"";
const XML: &str = "format = \"xml\"\nrecords = \"/jobs/job\"";

#[test]
fn every_function_takes_what_is_not_there() {
    let mapping = r#"{% set title = text(item.no) %}{% set url = first(item.no, opt("/no/way"), "", "u") %}
        {% set total_job_openings = number(item.no) %}{% set date_posted = date(opt("/x/0")) %}
        {% set description = join("-", item.no, "a", opt("/b"), ["c", none]) %}
        {% set job_benefits = split(item.no, ",") %}{% set status = lookup("s", item.no) %}
        {% set job_location = {"text": opt("/deep/0/a~1b"), "region": none} %}{% set category = item.no %}"#;
    let adapter = adapter("format = \"json\"\n[lookup.s]\n1 = \"open\"", mapping);
    let expected = r#"{"description":"a-c","job_benefits":[],"job_location":{"text":"found"},"url":"u"}"#;
    check(&adapter, br#"{"deep":[{"a/b":"found"}]}"#, &[expected]);
}

#[test]
fn a_list_made_of_lists_is_a_list() {
    let mapping = r#"{% set _all = item.a + item.b %}{% set title = join(",", _all) %}
        {% set job_benefits = lookup("t", _all) %}{% set url = opt(_all, "/1") %}{% set description = first([] + [], "none") %}"#;
    let adapter = adapter("format = \"json\"\n[lookup.t]\nx = \"X\"\ny = \"X\"", mapping);
    let expected = r#"{"description":"none","job_benefits":["X"],"title":"x,y","url":"y"}"#;
    check(&adapter, br#"{"a":["x"],"b":["y"]}"#, &[expected]);
}

#[test]
fn a_fault_names_the_line_and_the_field_and_shows_only_the_mapping() {
    let mapping = "{% set source_id = item.id %}\n{% set title = item.person.name %}\n{% set status = lookup(\"s\", item.s) %}\n\
        {% set date_posted = item.d | date %}\n{% set _n = item.n | int %}\n{% set url = item.id + 1 %}";
    let adapter = adapter("format = \"json\"\n[lookup.s]\n1 = \"open\"", mapping);
    let canary = "张三13800000000";
    let body = format!(
        r#"[{{"id":"{canary}"}},{{"id":7,"person":{{}},"s":"{canary}"}},{{"person":{{}},"d":"{canary}"}},{{"id":"{canary}","person":{{}},"n":"{canary}"}},{{"id":"{canary}","person":{{}},"n":1}},{{"id":8,"person":{{}},"n":1}}]"#
    );
    let mut details = Vec::new();
    for record in adapter.read(body.as_bytes()).unwrap() {
        match record.outcome {
            Outcome::Rejected(fault, _) => details.push(format!("{} {} {}", fault.pointer, fault.code, fault.detail)),
            other => details.push(format!("{other:?}")),
        }
    }
    assert!(!details.join("\n").contains("138"), "{details:#?}");
    assert_eq!(
        details[..5],
        [
            "/title missing trial/mapping.jinja:2: something that the record does not have in `item.person.name`",
            "/status unknown_value trial/mapping.jinja:3: a value that [lookup.s] does not have and has no `otherwise` for, in `lookup(\"s\", item.s)`",
            "/date_posted unreadable trial/mapping.jinja:4: a day that cannot be read in `item.d | date`",
            " unreadable trial/mapping.jinja:5: invalid operation in `item.n | int`",
            "/url unreadable trial/mapping.jinja:6: invalid operation in `item.id + 1`",
        ]
    );
}

#[test]
fn a_record_that_fails_is_named_by_its_source_id() {
    let adapter = adapter(JSON, "{% set _p = item.id %}{% set source_id = 'X-' ~ _p %}{% set title = item.a.b %}");
    let detail = "trial/mapping.jinja:1: something that the record does not have in `item.a.b`";
    check(&adapter, br#"{"id":5}"#, &[&format!("X-5 /title missing {detail}")]);
}

#[test]
fn a_mapping_is_checked_when_it_is_loaded() {
    let problems = |toml: &str, mapping: &str| lines(&try_load(toml, mapping).err().unwrap_or_default());
    let at = "adapters/trial/mapping.jinja";
    assert_eq!(
        problems(JSON, "\n{% set titel = 1 %}"),
        format!("{at}:2: `titel` is no field of a posting; a helper's name begins with `_`")
    );
    assert_eq!(problems(JSON, "{% set title = lookpu('x', 1) %}"), format!("{at}:1: `lookpu` is neither defined here nor a function"));
    assert_eq!(problems(JSON, "{# é #}\n{% set title = item.a|trimm %}"), format!("{at}:2: `trimm` is an unknown filter"));
    assert_eq!(problems(JSON, "{% set title = item.a is strong %}"), format!("{at}:1: `strong` is an unknown test"));
    assert_eq!(problems(JSON, "{% set status = lookup( 's', 1) %}"), format!("{at}:1: `s` is a table that adapter.toml does not have"));
    assert!(problems(JSON, "\n\n{% set title = %}").starts_with(&format!("{at}:3: unexpected")));
    assert_eq!(problems("format = \"yaml\"", "x").split(':').nth(1), Some("2"));
    let unknown = problems("format = \"json\"\nrecrods = \"/a\"", "x");
    assert!(unknown.starts_with("adapters/trial/adapter.toml:3: unknown field `recrods`"), "{unknown}");
    let pointer = problems("format = \"json\"\nrecords = \"a\"", "x");
    assert!(pointer.starts_with("adapters/trial/adapter.toml:3: `records` must be JSON pointers"), "{pointer}");
}

#[test]
fn a_mapping_that_never_ends_is_stopped() {
    for bomb in [
        "{% for _a in range(100000) %}{% for _b in range(100000) %}{% endfor %}{% endfor %}",
        "{% set _x = namespace(v='xxxxxxxxxxxxxxxx') %}{% for _a in range(60) %}{% set _x.v = _x.v ~ _x.v %}{% endfor %}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set title = 'x' * 100000000000 %}",
        "{% for _a in range(9000) %}{% set _b = text(join('<', item.long, 'b')) %}{% endfor %}",
    ] {
        let adapter = adapter(JSON, bomb);
        let begin = Instant::now();
        let body = format!("{{\"long\":\"{}\"}}", "long ".repeat(100_000));
        let record = adapter.read(body.as_bytes()).unwrap().next().unwrap();
        assert!(matches!(record.outcome, Outcome::Rejected(..)), "{bomb}");
        assert!(begin.elapsed() < Duration::from_secs(2), "{bomb}");
    }
}

#[test]
fn records_stand_where_the_pointer_says() {
    let adapter = adapter("format = \"json\"\nrecords = [\"/a~1b/0/list\", \"/one\"]\ncursor = \"/next\"", "{% set title = item.t %}");
    check(
        &adapter,
        br#"{"a/b":[{"list":[{"t":"x"},3,{"t":"y"}]}]}"#,
        &[r#"{"title":"x"}"#, "  invalid_type a record must be an object", r#"{"title":"y"}"#],
    );
    check(&adapter, br#"{"one":{"t":"x"}}"#, &[r#"{"title":"x"}"#]);
    check(&adapter, br#"{"one":null}"#, &[]);
    assert_eq!(refused(&adapter, b"{}"), BodyError::NoRecords { pointer: "/a~1b/0/list".into() });
    assert_eq!(refused(&adapter, b"{\"one\":\n{\"t\":}}"), BodyError::Json { line: 2, column: 6, detail: "this is not JSON" });
    assert_eq!(adapter.cursor(br#"{"next":"abc"}"#).as_deref(), Some("abc"));
    assert_eq!(adapter.cursor(br#"{"next":null}"#), None);
}

#[test]
fn a_broken_line_is_one_reject_and_blank_lines_do_not_count() {
    let adapter = adapter("format = \"ndjson\"", "{% set title = item.t %}");
    let body = b"\xef\xbb\xbf{\"t\":1}\r\n\n  \n{\"t\":\n\"text\"\n{\"t\":2}";
    let broken = "  unreadable the JSON ends too early";
    check(&adapter, body, &[r#"{"title":1}"#, broken, "  invalid_type a record must be an object", r#"{"title":2}"#]);
    check(&adapter, b"nonsense\n{\"t\":3}", &["  unreadable this is not JSON", r#"{"title":3}"#]);
    check(&adapter, b"", &[]);
}

#[test]
fn deep_json_is_refused_at_once() {
    let deep = format!("[{}{}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let begin = Instant::now();
    assert_eq!(refused(&adapter(JSON, ""), deep.as_bytes()), BodyError::TooDeep);
    let lines = adapter("format = \"ndjson\"", "");
    let line = format!("{{\"a\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    check(&lines, line.as_bytes(), &["  unreadable nested deeper than 64 levels"]);
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_record_with_too_much_in_it_is_one_reject() {
    let members = (0..1_001).map(|i| format!("\"k{i}\":{i}")).collect::<Vec<_>>().join(",");
    let body = format!("[{{\"t\":\"{}\"}},{{{members}}},{{\"t\":1}}]", "x".repeat(1 << 20));
    let expected = ["  too_long one record may have 1 MiB", "  too_long more than 1,000 members", r#"{"title":1}"#];
    check(&adapter(JSON, "{% set title = item.t %}"), body.as_bytes(), &expected);
}

#[test]
fn an_element_becomes_an_object() {
    let adapter = adapter(&format!("{XML}\narrays = [\"one\"]"), "{% set title = item | tojson %}");
    let body = r#"<?xml version="1.0"?><!-- c --><x:jobs xmlns:x="u"><job id="1" a="&lt;b&#65;"><n> t &amp; <![CDATA[<u>]]></n><one>1</one><two>1</two><two b="2">x</two><none/></job><job>plain</job><other><job/></other><job/></x:jobs>"#;
    let found: Vec<String> = adapter
        .read(body.as_bytes())
        .unwrap()
        .map(|record| match record.outcome {
            Outcome::Mapped(value) => {
                value["title"].as_str().unwrap().replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&")
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let first = r##"{"@a": "<bA", "@id": "1", "n": "t & <u>", "none": null, "one": ["1"], "two": ["1", {"#text": "x", "@b": "2"}]}"##;
    assert_eq!(found, [first, r##"{"#text": "plain"}"##, r##"{"#text": null}"##]);
}

#[test]
fn a_hostile_document_is_refused_at_once() {
    let adapter = adapter(XML, "");
    let begin = Instant::now();
    let laughs = br#"<!DOCTYPE jobs [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><jobs><job>&b;</job></jobs>"#;
    assert!(matches!(refused(&adapter, laughs), BodyError::Xml { detail, .. } if detail.contains("document type")));
    assert!(matches!(refused(&adapter, b"<jobs><job>\n&b;</job></jobs>"), BodyError::Xml { line: 2, .. }));
    assert_eq!(refused(&adapter, "<a>".repeat(1_000_000).as_bytes()), BodyError::TooDeep);
    for broken in ["<jobs><job></jobs>", "<jobs><job>", "", "text", "<jobs/><jobs/>", "<jobs><job a=1/></jobs>", "{}"] {
        assert_eq!(refused(&adapter, broken.as_bytes()).code(), "xml_invalid", "{broken}");
    }
    assert_eq!(refused(&adapter, b"<rss></rss>").code(), "records_missing");
    check(&adapter, b"<jobs></jobs>", &[]);
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn text_in_other_encodings_is_read_where_the_adapter_says_so() {
    let mapping = "{% set title = item['岗位'] %}";
    let text = "岗位;人数\r\n外卖骑手;1\r\n";
    let (gb, ..) = encoding_rs::GB18030.encode(text);
    let takes = adapter("format = \"csv\"\ndelimiter = \";\"\nencoding = \"gb18030\"", mapping);
    let strict = adapter("format = \"csv\"\ndelimiter = \";\"", mapping);
    check(&takes, &gb, &[r#"{"title":"外卖骑手"}"#]);
    check(&takes, text.as_bytes(), &[r#"{"title":"外卖骑手"}"#]);
    assert_eq!(refused(&strict, &gb), BodyError::Encoding);
    assert_eq!(refused(&takes, b"\xff\xfe\x00"), BodyError::Encoding);
    let utf16: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    check(&strict, &utf16, &[r#"{"title":"外卖骑手"}"#]);
    check(&strict, format!("\u{feff}{text}").as_bytes(), &[r#"{"title":"外卖骑手"}"#]);
    let (gbk, ..) = encoding_rs::GBK.encode("<?xml version='1.0' encoding='GBK'?><jobs><job><t>骑手</t></job></jobs>");
    check(&adapter(XML, "{% set title = item.t %}"), &gbk, &[r#"{"title":"骑手"}"#]);
}

#[test]
fn a_row_with_another_number_of_cells_is_one_reject() {
    let adapter = adapter("format = \"csv\"", "{% set title = item.t %}");
    check(
        &adapter,
        b"t,u\na,b\n\n,\nonly\n\"x\ny\",z\n",
        &[r#"{"title":"a"}"#, "  unreadable line 5 has 1 cells, the header has 2", r#"{"title":"x\ny"}"#],
    );
    assert_eq!(refused(&adapter, b"t,u,t\n").to_string(), "columns 1 and 3 have the same name");
    assert_eq!(refused(&adapter, b"").code(), "records_missing");
}

#[test]
fn a_workbook_is_read_below_its_header() {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "岗位一览").unwrap();
    for (column, name) in ["岗位", "人数", "日期"].into_iter().enumerate() {
        sheet.write(2, column as u16, name).unwrap();
    }
    let day = rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd");
    sheet.write(3, 0, "理货员").unwrap();
    sheet.write(3, 1, 20).unwrap();
    sheet.write_with_format(3, 2, rust_xlsxwriter::ExcelDateTime::from_ymd(2020, 6, 1).unwrap(), &day).unwrap();
    sheet.write(5, 1, 2.5).unwrap();
    let body = book.save_to_buffer().unwrap();
    let adapter = adapter(
        "format = \"csv\"\nalso = [\"xlsx\"]",
        "{% set title = item['岗位'] %}{% set total_job_openings = item['人数'] %}{% set date_posted = date(opt('/日期')) %}",
    );
    let first = r#"{"date_posted":"2020-06-01","title":"理货员","total_job_openings":20}"#;
    check(&adapter, &body, &[first, r#"{"total_job_openings":2.5}"#]);
    assert_eq!(refused(&adapter, b"PK\x03\x04 nonsense").code(), "xlsx_invalid");
    let mut cut = body.clone();
    cut.truncate(body.len() / 2);
    assert_eq!(refused(&adapter, &cut).code(), "xlsx_invalid");
}

#[test]
fn the_format_is_told_by_the_content_type_or_the_first_bytes() {
    let adapter = adapter("format = \"json\"\nalso = [\"ndjson\", \"csv\", \"html\"]", "{% set title = item.t %}");
    assert_eq!(adapter.format_of("application/x-ndjson; charset=utf-8"), Some(Format::Ndjson));
    assert_eq!(adapter.format_of("application/activity+json"), Some(Format::Json));
    assert_eq!(adapter.format_of("application/xml"), None);
    let one = [r#"{"title":1}"#];
    check(&adapter, b"{\"t\":1}", &one);
    check(&adapter, b"{\n\"t\":1}\n", &one);
    check(&adapter, b"{\"t\":1}\n{\"t\":1}\n", &[one[0], one[0]]);
    check(&adapter, b"t\nx\n", &[r#"{"title":"x"}"#]);
    check(&adapter, b"<p><script type=\"application/ld+json\"> [{\"t\":1}] </script>", &one);
}

#[test]
fn hostile_markup_in_a_text_takes_no_longer_than_its_length() {
    let adapter = adapter("format = \"json\"", "{% set title = text(item.t) %}");
    for piece in ["<a", "<script>", "<!--", "<script></scripx", "&", "<b>"] {
        let body = format!("{{\"t\":\"{}\"}}", piece.repeat((1 << 20) / piece.len() - 8));
        let begin = Instant::now();
        assert!(matches!(adapter.read(body.as_bytes()).unwrap().next().unwrap().outcome, Outcome::Mapped(_)));
        assert!(begin.elapsed() < Duration::from_secs(3), "{piece}: {:?}", begin.elapsed());
    }
}

#[test]
fn the_adapters_that_ship_load_and_are_found_by_name() {
    let all = Adapters::builtin().unwrap_or_else(|problems| panic!("{}", lines(&problems)));
    for name in ["ai-bean", "cainiao", "canonical", "didi", "meituan", "schema-org", "wuba-daojia"] {
        let adapter = all.get(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(adapter.name(), name);
        assert!(adapter.samples().len() >= 2, "{name} has fewer than two samples");
    }
    assert!(all.get("no-such").is_none());
}

#[test]
fn a_directory_overrides_and_extends_what_ships() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join("adapter.toml"), text).unwrap();
    };
    write("ours", "name = \"ours\"\ntitle = \"x\"\nformat = \"json\"\npassthrough = true");
    write("didi", "name = \"didi\"\ntitle = \"ours now\"\nformat = \"json\"\npassthrough = true");
    let mut all = Adapters::builtin().unwrap();
    all.with_dir(dir.path()).unwrap();
    assert_eq!(all.get("didi").unwrap().title(), "ours now");
    assert!(all.get("ours").is_some() && all.get("meituan").is_some());
    write("bad", "name = \"other\"\nformat = \"json\"\npassthrough = true");
    assert!(lines(&all.with_dir(dir.path()).unwrap_err()).contains("must be the folder's name"));
    assert!(all.get("ours").is_some());
}

#[test]
fn records_may_stand_in_the_items_of_a_list_which_they_can_see() {
    let toml = "format = \"json\"\nrecords = \"/shops/*/jobs\"";
    let adapter =
        adapter(toml, r#"{% set source_id = item.id %}{% set title = opt(parent, "/name") %}{% set url = opt(parent, "/jobs") %}"#);
    let body = br#"{"shops":[{"name":"a","jobs":[{"id":1},{"id":2}]},{"name":"b"},7,{"name":"c","jobs":{"id":3}}]}"#;
    let expected = [
        r#"{"source_id":"1","title":"a"}"#,
        r#"{"source_id":"2","title":"a"}"#,
        "  unreadable what holds records must be an object",
        r#"{"source_id":"3","title":"c"}"#,
    ];
    check(&adapter, body, &expected);
    check(&adapter, br#"{"shops":[]}"#, &[]);
    assert_eq!(refused(&adapter, br#"{"shop":[]}"#), BodyError::NoRecords { pointer: "/shops/*/jobs".to_owned() });
    // What holds records is bounded as a record is.
    let large = format!(r#"{{"shops":[{{"x":"{}","jobs":[{{"id":1}}]}}]}}"#, "y".repeat(2 << 20));
    check(&adapter, large.as_bytes(), &["  too_long what holds this record is larger than one record may be"]);
    assert!(lines(&try_load("format = \"json\"\nrecords = \"/a/*/b/*/c\"", "{% set title = '1' %}").unwrap_err()).contains("one `*`"));
}

#[test]
fn a_mailed_table_has_rows_above_its_header_and_cells_that_mean_the_one_above() {
    let toml = "format = \"csv\"\nencoding = \"gb18030\"\nheader = [\"岗位\", \"岗位名称\"]\nfill_down = [\"单位\"]";
    let adapter = adapter(toml, r#"{% set title = item["岗位名称"] %}{% set description = item["单位"] %}"#);
    let table = "某县岗位表,\n制表：,\n单位,\"岗位\n名称\"\n甲厂,普工\n,焊工\n乙厂,保安\n";
    let expected = [
        r#"{"description":"甲厂","title":"普工"}"#,
        r#"{"description":"甲厂","title":"焊工"}"#,
        r#"{"description":"乙厂","title":"保安"}"#,
    ];
    check(&adapter, table.as_bytes(), &expected);
    check(&adapter, &encoding_rs::GB18030.encode(table).0, &expected);
    assert_eq!(refused(&adapter, "单位,职务\n甲厂,普工\n".as_bytes()).code(), "records_missing");
}

#[test]
fn what_cannot_be_read_is_a_fault_unless_the_mapping_says_otherwise() {
    let adapter = adapter(
        JSON,
        r#"{% set total_job_openings = number(item.n, otherwise=none) %}{% set date_posted = date(item.d, otherwise="2020-01-01") %}"#,
    );
    check(
        &adapter,
        r#"[{"n":"若干","d":"soon"},{"n":"3人","d":"2020/6/1"}]"#.as_bytes(),
        &[r#"{"date_posted":"2020-01-01"}"#, r#"{"date_posted":"2020-06-01","total_job_openings":3}"#],
    );
}

#[test]
fn every_text_may_come_in_the_encodings_of_its_time() {
    let utf16 = |text: &str, little: bool, mark: bool| {
        let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
        units.flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() }).collect::<Vec<u8>>()
    };
    let mapping = "{% set title = item.t %}";
    let xml = |declared: &str| format!("<?xml version=\"1.0\" encoding=\"{declared}\"?><jobs><job><t>快递员</t></job></jobs>");
    for (toml, body) in [
        (JSON, "[{\"t\":\"快递员\"}]".to_owned()),
        ("format = \"ndjson\"", "{\"t\":\"快递员\"}\n".to_owned()),
        ("format = \"csv\"", "t\n快递员\n".to_owned()),
        (XML, xml("UTF-16")),
    ] {
        let adapter = adapter(toml, mapping);
        for little in [true, false] {
            check(&adapter, &utf16(&body, little, true), &[r#"{"title":"快递员"}"#]);
            if !toml.contains("csv") {
                check(&adapter, &utf16(&body, little, false), &[r#"{"title":"快递员"}"#]);
            }
        }
        check(&adapter, format!("\u{FEFF}{body}").as_bytes(), &[r#"{"title":"快递员"}"#]);
    }
    let adapter = adapter(XML, mapping);
    for label in ["GBK", "gb2312", "Big5", "Shift_JIS"] {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let body = xml(label).replace("快递员", "人手");
        check(&adapter, &encoding.encode(&body).0, &[r#"{"title":"人手"}"#]);
    }
    let latin = xml("ISO-8859-1").replace("快递员", "Städare");
    check(&adapter, &encoding_rs::WINDOWS_1252.encode(&latin).0, &[r#"{"title":"Städare"}"#]);
    // A label that the bytes belie, and one that nobody knows.
    let (gbk, _, _) = encoding_rs::GBK.encode("<jobs><job><t>快递员</t></job></jobs>");
    for head in ["<?xml version=\"1.0\"?>", "<?xml version=\"1.0\" encoding=\"klingon\"?>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"] {
        assert_eq!(refused(&adapter, &[head.as_bytes(), &gbk].concat()), BodyError::Encoding, "{head}");
    }
}
