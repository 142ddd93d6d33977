use super::*;

/// `UNIT min max`, with `-` for what is not said.
fn check(text: &str, expected: &str) {
    let pay = read(text).pay;
    let money = |m: Option<Money>| m.map_or("-".to_owned(), |m| serde_json::to_string(&m).unwrap());
    let unit = pay.unit.map_or("-".to_owned(), |u| serde_json::to_value(u).unwrap().as_str().unwrap().to_owned());
    assert_eq!(format!("{unit} {} {}", money(pay.min), money(pay.max)), expected, "{text:?}");
}

#[test]
fn wages_of_the_boards_are_read() {
    for (text, expected) in [
        ("12-18K", "MONTH 12000 18000"),
        ("8千-1.1万", "MONTH 8000 11000"),
        ("1万-1.8万", "MONTH 10000 18000"),
        ("6千-8千", "MONTH 6000 8000"),
        ("1-1.5万", "MONTH 10000 15000"),
        ("5.5-7千", "MONTH 5500 7000"),
        ("0.8-1.5万/月", "MONTH 8000 15000"),
        ("6-8千/月", "MONTH 6000 8000"),
        ("20-50万/年", "YEAR 200000 500000"),
        ("6千-8千元/月", "MONTH 6000 8000"),
        ("150-200元/天", "DAY 150 200"),
        ("100-150/天", "DAY 100 150"),
        ("1千/天", "DAY 1000 1000"),
        ("1.5千/天", "DAY 1500 1500"),
        ("30元/小时", "HOUR 30 30"),
        ("100-200元/次", "PIECE 100 200"),
        ("5000-8000", "MONTH 5000 8000"),
        ("10001", "MONTH 10001 10001"),
        ("4千及以下", "MONTH - 4000"),
        ("1.5千以下/月", "MONTH - 1500"),
        ("2万以下/年", "YEAR - 20000"),
        ("3000以上", "MONTH 3000 -"),
        ("8K-15K", "MONTH 8000 15000"),
        ("14.4-19.2万/年", "YEAR 144000 192000"),
        ("8000-1万", "MONTH 8000 10000"),
        ("1万-15000", "MONTH 10000 15000"),
        ("8千-12", "MONTH 8000 12000"),
        ("1-1.5W", "MONTH 10000 15000"),
        ("95元/天", "DAY 95 95"),
        ("500", "DAY 500 500"),
        ("25", "HOUR 25 25"),
        ("18-22", "HOUR 18 22"),
        ("1500元/周", "WEEK 1500 1500"),
        ("月薪5000-8000元", "MONTH 5000 8000"),
        ("年薪15-20万", "YEAR 150000 200000"),
        ("5000元-8000元/月", "MONTH 5000 8000"),
        ("８０００－１００００元／月", "MONTH 8000 10000"),
        ("8,000-12,000元/月", "MONTH 8000 12000"),
        ("5000 - 8000 元/月", "MONTH 5000 8000"),
        ("5000～8000元/月", "MONTH 5000 8000"),
        ("三千到五千", "MONTH 3000 5000"),
        ("一万二到一万五", "MONTH 12000 15000"),
        ("八百至一千", "DAY 800 1000"),
        ("1万2-1万5", "MONTH 12000 15000"),
        ("底薪4000+提成", "MONTH 4000 -"),
        ("保底6000", "MONTH 6000 -"),
        ("8000+", "MONTH 8000 -"),
        ("5000元起", "MONTH 5000 -"),
        ("5000元起，上不封顶", "MONTH 5000 -"),
        ("5000上不封顶", "MONTH 5000 -"),
        ("5000-8000元/月，包吃住", "MONTH 5000 8000"),
        ("6000-9000包吃住+五险一金", "MONTH 6000 9000"),
        ("3000+500全勤", "MONTH 3000 -"),
        ("最高9000元", "MONTH - 9000"),
        ("约8000元", "MONTH 8000 8000"),
        ("18-45岁，5000-7000元/月", "MONTH 5000 7000"),
        ("¥6000-8000", "MONTH 6000 8000"),
        ("RMB 6000-8000/month", "MONTH 6000 8000"),
    ] {
        check(text, expected);
    }
}

#[test]
fn pay_by_the_hour_day_and_piece_is_read() {
    for (text, expected) in [
        ("20元/小时", "HOUR 20 20"),
        ("18-22元/小时", "HOUR 18 22"),
        ("18~22元/时", "HOUR 18 22"),
        ("35-50元/时", "HOUR 35 50"),
        ("时薪25元", "HOUR 25 25"),
        ("时薪20-25", "HOUR 20 25"),
        ("每小时22元", "HOUR 22 22"),
        ("22元每小时", "HOUR 22 22"),
        ("18块一小时", "HOUR 18 18"),
        ("25元/h", "HOUR 25 25"),
        ("25/小时", "HOUR 25 25"),
        ("23.5元/小时", "HOUR 23.5 23.5"),
        ("19.5-21元/小时+餐补", "HOUR 19.5 21"),
        ("20元/小时起", "HOUR 20 -"),
        ("二十元/小时", "HOUR 20 20"),
        ("¥30/小时", "HOUR 30 30"),
        ("小时工资21元", "HOUR 21 21"),
        ("26 元/小时 日结", "HOUR 26 26"),
        ("120/小时", "HOUR 120 120"),
        ("8-10元/单", "PIECE 8 10"),
        ("8元/单", "PIECE 8 8"),
        ("每单8-10元", "PIECE 8 10"),
        ("一单9元", "PIECE 9 9"),
        ("9元一单", "PIECE 9 9"),
        ("5元/件", "PIECE 5 5"),
        ("0.5元/件", "PIECE 0.5 0.5"),
        ("每件0.3-0.5元", "PIECE 0.3 0.5"),
        ("0.08元/个", "PIECE 0.08 0.08"),
        ("1元/条", "PIECE 1 1"),
        ("0.2元/张", "PIECE 0.2 0.2"),
        ("500-1000元/次", "PIECE 500 1000"),
        ("300元/趟", "PIECE 300 300"),
        ("1.5元/公里", "PIECE 1.5 1.5"),
        ("80元/吨", "PIECE 80 80"),
        ("2元/斤", "PIECE 2 2"),
        ("30元/平方米", "PIECE 30 30"),
        ("100元/课时", "PIECE 100 100"),
        ("50元/千字", "PIECE 50 50"),
        ("五元/单", "PIECE 5 5"),
        ("6.5元/单起", "PIECE 6.5 -"),
        ("3元/票以上", "PIECE 3 -"),
        ("计件0.5元", "PIECE 0.5 0.5"),
        ("150元/天日结", "DAY 150 150"),
        ("日结150", "DAY 150 150"),
        ("日薪200-300元", "DAY 200 300"),
        ("200元一天", "DAY 200 200"),
        ("一天200元", "DAY 200 200"),
        ("每天180-220", "DAY 180 220"),
        ("150元/天-200元/天", "DAY 150 200"),
        ("260元/班", "DAY 260 260"),
        ("200元/人/天", "DAY 200 200"),
        ("2百/天", "DAY 200 200"),
        ("三百块一天", "DAY 300 300"),
    ] {
        check(text, expected);
    }
}

#[test]
fn what_is_not_said_or_not_readable_is_nothing() {
    for text in ["", "面议", "面谈", "薪资面议", " "] {
        check(text, "- - -");
        assert_eq!(read(text).warnings, [] as [&str; 0], "{text:?}");
    }
    for text in [
        "高薪",
        "1万-8千",
        "0",
        "0-0",
        "8-1万",
        "99999999999999999999",
        "1000000000000000005000",
        "99999999999999万9999999999千",
        "8000 12",
        "待遇从优",
        "元/天",
        &"9".repeat(300),
    ] {
        check(text, "- - -");
        assert_eq!(read(text).warnings, ["pay_unreadable"], "{text:?}");
    }
}

#[test]
fn months_of_pay_do_not_change_the_month() {
    for (text, months) in
        [("15-25K·14薪", Some(14)), ("1万-2万·13薪", Some(13)), ("20-30K*16薪", Some(16)), ("12-18K", None), ("10-20K·13-16薪", Some(13))]
    {
        let pay = read(text).pay;
        assert_eq!(pay.months_per_year, months, "{text}");
        assert_eq!(pay.monthly_min, pay.min);
        assert_eq!(pay.monthly_max, pay.max);
    }
}

#[test]
fn the_monthly_figure_is_rounded_halves_up() {
    for (unit, amount, expected) in [
        (Unit::Year, 200_000, Some(16_667)),
        (Unit::Year, 150_000, Some(12_500)),
        (Unit::Year, 80_000, Some(6667)),
        (Unit::Day, 150, Some(3263)),
        (Unit::Day, 200, Some(4350)),
        (Unit::Day, 2, Some(44)),
        (Unit::Hour, 20, Some(3480)),
        (Unit::Week, 1500, Some(6500)),
        (Unit::Month, 5000, Some(5000)),
        (Unit::Piece, 8, None),
    ] {
        assert_eq!(monthly(unit, Money::from_units(amount)), expected.map(Money::from_units), "{amount} {unit:?}");
    }
}

#[test]
fn other_currencies_are_kept_without_a_month() {
    for (text, currency, expected) in [
        ("$15/hr", "USD", "HOUR 15 15"),
        ("€3,000-4,000 per month", "EUR", "MONTH 3000 4000"),
        ("USD 50000 per year", "USD", "YEAR 50000 50000"),
        ("2000-3000美元/月", "USD", "MONTH 2000 3000"),
        ("£12 an hour", "GBP", "HOUR 12 12"),
        ("HK$20000", "HKD", "- 20000 20000"),
    ] {
        let reading = read(text);
        assert_eq!(reading.pay.currency, currency, "{text}");
        assert_eq!(reading.warnings, ["foreign_currency"]);
        assert_eq!((reading.pay.monthly_min, reading.pay.monthly_max), (None, None));
        check(text, expected);
    }
}
