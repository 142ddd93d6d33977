use super::*;
use jiff::civil::date;
use serde_json::json;

fn today() -> Date {
    date(2020, 6, 10)
}

/// A sound record with these fields changed.
fn with(changes: Value) -> Value {
    let mut record = json!({"source_id": "MT-889", "title": "外卖骑手", "job_location": {"text": "浙江省宁波市鄞州区"}});
    for (key, value) in changes.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

fn sound(changes: Value) -> Content {
    read(&with(changes), today()).unwrap()
}

/// `pointer code` of each fault.
fn faults(changes: Value) -> Vec<String> {
    let faults = read(&with(changes), today()).unwrap_err();
    faults.into_iter().map(|f| format!("{} {}", f.pointer, f.code)).collect()
}

#[test]
fn the_least_record_is_enough() {
    let content = sound(json!({}));
    assert_eq!(content.category, Category::DeliveryRider);
    assert_eq!(content.job_location.region.unwrap().to_string(), "330212");
    assert_eq!((content.total_job_openings, content.arrangement), (1, Arrangement::OnSite));
    assert_eq!((content.date_posted, content.valid_through), (today(), date(2020, 7, 10)));
    assert_eq!(content.hiring_organization.kind, OrganizationKind::Platform);
    assert_eq!(content.status, Declared::Open);
    assert_eq!(content.warnings, [] as [&str; 0]);
}

#[test]
fn the_contract_s_example_comes_back_as_it_went() {
    let record = json!({"id":"…","platform":"meituan","source_id":"MT-889","title":"外卖骑手","description":"…",
     "category":"delivery_rider","occupation":{"gb":"4-10-08-01","isco08":"9331"},
     "hiring_organization":{"name":"…","kind":"platform"},
     "job_location":{"text":"浙江省宁波市鄞州区","region":"330212"},
     "arrangement":"on_site","target_regions":["520000","set:listed-52"],
     "base_salary":{"text":"5000-8000元/月","currency":"CNY","unit":"MONTH","min":5000,"max":8000,"months_per_year":null,"monthly_min":5000,"monthly_max":8000},
     "total_job_openings":20,"employment_type":["FULL_TIME"],
     "requirements":{"age_min":18,"age_max":55,"skills":["health_certificate"]},
     "job_benefits":["lodging","meals","transport","training"],
     "date_posted":"2020-06-01","valid_through":"2020-07-01","url":"https://example.com/1",
     "status":"open","seats":{"openings":20,"declared":20,"taken":3},"warnings":["sex_restriction_dropped"],"revision":2});
    let content = read(&record, today()).unwrap();
    let mut again = serde_json::to_value(&content).unwrap();
    for key in ["id", "platform", "seats", "revision"] {
        again[key] = record[key].clone();
    }
    assert_eq!(again, record);
}

/// Work in place for 52 counties that wants so many people of each.
fn in_place(each: Value) -> Value {
    json!({"arrangement": "in_place", "target_regions": ["set:listed-52"], "openings_per_county": each})
}

#[test]
fn seats_are_counted_by_county_where_a_posting_in_place_says_so() {
    let openings = |changes: Value| {
        let content = sound(changes);
        (content.total_job_openings, content.openings_per_county)
    };
    assert_eq!(openings(in_place(json!(3))), (156, Some(3)), "without a total it is what the counties come to");
    assert_eq!(openings(in_place(json!("1923"))), (99_996, Some(1923)));
    assert_eq!(openings(in_place(json!(null))), (1, None));
    assert_eq!(openings(json!({"openings_per_county": " "})), (1, None));
    let with_total = |total: u32, each: u32| {
        let mut changes = in_place(json!(each));
        changes["total_job_openings"] = json!(total);
        openings(changes)
    };
    assert_eq!(with_total(20, 3), (20, Some(3)), "a total stays the bound over all");
    assert_eq!(with_total(100_000, 5_000), (100_000, Some(5_000)));
    // A county that two targets name counts once.
    let twice = json!({"arrangement": "in_place", "target_regions": ["522600", "522632", "522601"], "openings_per_county": 2});
    assert_eq!(openings(twice), (32, Some(2)));
    // A posting that does not count so says nothing of it.
    assert!(serde_json::to_value(sound(json!({}))).unwrap().get("openings_per_county").is_none());
    let counted = serde_json::to_value(sound(in_place(json!(3)))).unwrap();
    assert_eq!(counted["openings_per_county"], 3);
    assert_eq!(sound(counted).total_job_openings, 156);
}

#[test]
fn every_fault_is_told_with_its_pointer() {
    assert_eq!(read(&json!([]), today()).unwrap_err()[0].pointer, "");
    assert_eq!(
        faults(json!({"title": " ", "job_location": null, "total_job_openings": 0, "url": "ftp://x", "status": "gone"})),
        ["/title missing", "/url unknown_value", "/job_location missing", "/total_job_openings out_of_range", "/status unknown_value"]
    );
    for (changes, expected) in [
        (json!({"title": 7}), "/title invalid_type"),
        (json!({"source_id": 2.5}), "/source_id invalid_type"),
        (json!({"description": "a\u{0}b"}), "/description unreadable"),
        (json!({"job_location": "a\u{0}b"}), "/job_location unreadable"),
        (json!({"title": ["x"]}), "/title invalid_type"),
        (json!({"title": "长".repeat(201)}), "/title too_long"),
        (json!({"source_id": "x".repeat(129)}), "/source_id too_long"),
        (json!({"source_id": "a\u{0}b"}), "/source_id unreadable"),
        (json!({"source_id": {}}), "/source_id invalid_type"),
        (json!({"description": "长".repeat(20_001)}), "/description too_long"),
        (json!({"job_location": {}}), "/job_location missing"),
        (json!({"job_location": 5}), "/job_location invalid_type"),
        (json!({"job_location": {"region": "999999"}}), "/job_location/region unknown_value"),
        (json!({"arrangement": "remote"}), "/arrangement unknown_value"),
        (json!({"arrangement": "in_place"}), "/target_regions target_regions_missing"),
        (json!({"arrangement": "in_place", "target_regions": []}), "/target_regions target_regions_missing"),
        (json!({"target_regions": ["520000", "set:listed-52", "set:nowhere"]}), "/target_regions/2 unknown_value"),
        (json!({"target_regions": {"a": 1}}), "/target_regions invalid_type"),
        (json!({"total_job_openings": -1}), "/total_job_openings out_of_range"),
        (json!({"total_job_openings": 100_001}), "/total_job_openings out_of_range"),
        (json!({"total_job_openings": "99999999999999999999"}), "/total_job_openings out_of_range"),
        (json!({"total_job_openings": 2.5}), "/total_job_openings invalid_type"),
        (json!({"total_job_openings": "several"}), "/total_job_openings invalid_type"),
        (json!({"openings_per_county": 3}), "/openings_per_county unknown_value"),
        (json!({"openings_per_county": 3, "target_regions": ["522632"]}), "/openings_per_county unknown_value"),
        (in_place(json!(0)), "/openings_per_county out_of_range"),
        (in_place(json!(-2)), "/openings_per_county out_of_range"),
        (in_place(json!(100_001)), "/openings_per_county out_of_range"),
        (in_place(json!(2.5)), "/openings_per_county invalid_type"),
        (in_place(json!("some")), "/openings_per_county invalid_type"),
        (in_place(json!(1924)), "/openings_per_county out_of_range"),
        (json!({"category": "astronaut"}), "/category unknown_value"),
        (json!({"base_salary": {"min": 9, "max": 8}}), "/base_salary/min out_of_range"),
        (json!({"base_salary": {"min": -1}}), "/base_salary/min out_of_range"),
        (json!({"base_salary": {"max": "much"}}), "/base_salary/max invalid_type"),
        (json!({"base_salary": {"max": 1e300}}), "/base_salary/max out_of_range"),
        (json!({"base_salary": {"unit": "FORTNIGHT"}}), "/base_salary/unit unknown_value"),
        (json!({"base_salary": 5}), "/base_salary invalid_type"),
        (json!({"requirements": {"age_min": 13}}), "/requirements/age_min out_of_range"),
        (json!({"requirements": {"age_min": 50, "age_max": 40}}), "/requirements/age_min out_of_range"),
        (json!({"requirements": {"skills": ["juggling"]}}), "/requirements/skills/0 unknown_value"),
        (json!({"hiring_organization": {"kind": "gang"}}), "/hiring_organization/kind unknown_value"),
        (json!({"job_benefits": ["x".repeat(65)]}), "/job_benefits/0 too_long"),
        (json!({"employment_type": vec!["a"; 21]}), "/employment_type too_long"),
        (json!({"date_posted": "2020-06-12"}), "/date_posted out_of_range"),
        (json!({"date_posted": "soon"}), "/date_posted unreadable"),
        (json!({"date_posted": "2020-06-01", "valid_through": "2020-05-31"}), "/valid_through out_of_range"),
        (json!({"url": "javascript:alert(1)"}), "/url unknown_value"),
        (json!({"url": format!("https://e.org/{}", "x".repeat(2000))}), "/url too_long"),
    ] {
        assert_eq!(faults(changes.clone()), [expected], "{changes}");
    }
}

#[test]
fn pay_is_taken_from_numbers_then_from_text() {
    let pay = |salary: Value| {
        let content = sound(json!({"base_salary": salary}));
        let p = content.base_salary;
        let show = |m: Option<Money>| m.map_or("-".to_owned(), |m| m.units_rounded().to_string());
        let unit = p.unit.map_or("-".to_owned(), |u| format!("{u:?}"));
        format!("{unit} {} {} {} {}", show(p.min), show(p.max), show(p.monthly_min), show(p.monthly_max))
    };
    assert_eq!(pay(json!("150-200元/天")), "Day 150 200 3263 4350");
    assert_eq!(pay(json!({"text": "150-200", "unit": "HOUR"})), "Hour 150 200 26100 34800");
    assert_eq!(pay(json!({"text": "5000-8000元/月", "unit": "DAY"})), "Month 5000 8000 5000 8000");
    assert_eq!(pay(json!({"text": "面议", "min": "6,000", "max": 8000})), "Month 6000 8000 6000 8000");
    assert_eq!(pay(json!({"min": 20, "unit": "hour"})), "Hour 20 - 3480 -");
    assert_eq!(pay(json!({"min": 0, "max": 0})), "- - - - -");
    assert_eq!(pay(json!({"min": 3000, "currency": "usd"})), "- 3000 - - -");
    assert_eq!(pay(json!({"text": "面议", "unit": "MONTH"})), "- - - - -");
    assert_eq!(sound(json!({"base_salary": {"min": 1, "currency": "EUR"}})).warnings, ["foreign_currency"]);
    assert_eq!(sound(json!({"base_salary": "看情况"})).warnings, ["pay_unreadable"]);
}

#[test]
fn places_follow_retired_codes_and_unread_ones_are_kept() {
    let region = |place: Value| sound(json!({"job_location": place})).job_location.region.map(|r| r.to_string());
    assert_eq!(region(json!({"region": "110103"})).as_deref(), Some("110101"));
    assert_eq!(region(json!({"region": 330212})).as_deref(), Some("330212"));
    assert_eq!(region(json!({"text": "青秀区", "context": "广西"})).as_deref(), Some("450103"));
    assert_eq!(region(json!("上海 浦东")).as_deref(), Some("310115"));
    assert_eq!(region(json!("Berlin")), None);
    assert_eq!(region(json!({"region": "000000"})), None);
    assert_eq!(sound(json!({"job_location": "Berlin"})).warnings, ["region_unresolved"]);
    let in_place = sound(json!({"arrangement": "in_place", "job_location": null, "target_regions": ["522601", "110103", "110101"]}));
    assert_eq!(serde_json::to_value(in_place.target_regions).unwrap(), json!(["522601", "110101"]));
}

#[test]
fn what_is_asked_is_read_and_sex_is_dropped() {
    let content = sound(json!({"requirements": {"text": "18-45岁，限女，有健康证", "gender": "female"}}));
    assert_eq!((content.requirements.age_min, content.requirements.age_max), (Some(18), Some(45)));
    assert_eq!(content.requirements.skills, ["health_certificate"]);
    assert_eq!(content.warnings, ["sex_restriction_dropped"]);
    assert_eq!(sound(json!({"title": "普工（仅限男）"})).warnings, ["sex_restriction_dropped"]);
    assert_eq!(sound(json!({"description": "男女不限"})).warnings, [] as [&str; 0]);
    let given = sound(json!({"requirements": {"age_max": 50, "text": "18-45岁", "gender": "不限"}}));
    assert_eq!((given.requirements.age_min, given.requirements.age_max), (None, Some(50)));
    assert_eq!(given.warnings, [] as [&str; 0]);
    assert_eq!(sound(json!({"description": "入职交押金300元"})).warnings, ["fraud_words"]);
}

#[test]
fn an_id_is_derived_where_none_is_given() {
    let id = |changes: Value| {
        let content = sound(changes);
        (content.source_id, content.warnings)
    };
    assert_eq!(id(json!({"source_id": 17})).0, "17");
    assert_eq!(id(json!({"source_id": null, "url": "https://e.org/1"})).0, "https://e.org/1");
    let (hash, warnings) = id(json!({"source_id": null}));
    assert!(hash.starts_with("sha256:") && hash.len() == 7 + 64);
    assert_eq!(warnings, ["source_id_derived"]);
    assert_eq!(id(json!({"source_id": null})).0, hash);
    assert_ne!(id(json!({"source_id": null, "title": "送餐员"})).0, hash);
}

#[test]
fn words_become_codes() {
    let content = sound(
        json!({"job_benefits": ["包吃住", "班车", "岗前培训", "年终奖"], "employment_type": "全职", "warnings": ["x", 5, "x"], "status": "filled"}),
    );
    assert_eq!(content.job_benefits, ["lodging", "meals", "transport", "training", "年终奖"]);
    assert_eq!(content.employment_type, ["FULL_TIME"]);
    assert_eq!(content.warnings, ["x"]);
    assert_eq!(content.status, Declared::Closed);
    assert_eq!(sound(json!({"hiring_organization": "某公司"})).hiring_organization.kind, OrganizationKind::Other);
}

/// Any JSON, with the record's own names among its keys.
fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let name = "title|source_id|job_location|text|region|base_salary|min|max|unit|requirements|skills|url\
                |age_min|date_posted|valid_through|target_regions|openings_per_county|arrangement|warnings|job_benefits|[a-z]{0,3}";
    let word = "[0-9万千百元/天月小时\\-~.·薪起以上下K ]{0,12}|[上海浦东新区广西青秀市县路、/· ]{0,12}|\\PC{0,20}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..10).prop_map(|map| map.into_iter().map(|(k, v)| (k.replace('\n', ""), v)).collect()),
        ]
    })
}

proptest::proptest! {
    #[test]
    fn no_record_makes_it_panic_and_what_is_read_reads_again(record in any_json()) {
        for fault in read(&record, today()).err().into_iter().flatten() {
            assert!(fault.pointer.is_empty() || fault.pointer.starts_with('/'));
        }
        let mut sound = with(json!({}));
        if let Value::Object(changes) = record {
            for (key, value) in changes {
                sound[key] = value;
            }
        }
        if let Ok(content) = read(&sound, today()) {
            let again = read(&serde_json::to_value(&content).unwrap(), today()).unwrap();
            assert_eq!(again, content);
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "[0-9万千百十两三元块/天月小时\\-~.·薪起以上下Kk ,岁每一]{0,24}|[上海浦东新区广西青秀市县州路、/· 旗吉林北京]{0,20}|\\PC{0,40}") {
        super::super::row(&text, &text, &text, &text);
        dates::read(&text);
        requirements::read(&text);
        requirements::restricts_sex(&text);
        requirements::speaks_of_fraud(&text);
        crate::domain::region::resolve(&text).ok();
    }
}

#[test]
fn an_immediate_start_is_yes_or_no() {
    for (said, read) in [
        (json!(true), true),
        (json!("是"), true),
        (json!("TRUE"), true),
        (json!(1), true),
        (json!(false), false),
        (json!("0"), false),
        (json!(null), false),
    ] {
        assert_eq!(sound(json!({"job_immediate_start": said})).job_immediate_start, read);
    }
    for said in [json!("soon"), json!(2), json!([true])] {
        assert_eq!(faults(json!({"job_immediate_start": said})), ["/job_immediate_start invalid_type"]);
    }
    let shown = |said: bool| serde_json::to_value(sound(json!({"job_immediate_start": said}))).unwrap();
    assert_eq!(shown(true)["job_immediate_start"], true);
    assert!(shown(false).get("job_immediate_start").is_none());
}
