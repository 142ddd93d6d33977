use super::*;
use crate::domain::account::{HireState, number};
use crate::domain::category::Category;
use crate::domain::hire::EndReason;
use crate::domain::time::{Period, from_day_number};
use crate::domain::varint;
use crate::domain::worker::Tier;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use uuid::Uuid;

fn day(n: i32) -> Date {
    from_day_number(i64::from(number(date(2019, 11, 20)) + n))
}

fn a_hire() -> impl Strategy<Value = HireState> {
    let leaves: Vec<Region> = (0..Region::leaf_count() as u16).filter_map(Region::leaf_at).collect();
    let place = proptest::sample::select(leaves);
    let spans = proptest::collection::vec((0i32..500, 0i32..120), 0..3);
    let more = (0usize..4, 0usize..3, proptest::option::of(0i32..500), proptest::option::of(0u32..9000), any::<bool>());
    (place.clone(), proptest::option::of(place), spans, 0i32..500, more).prop_map(|(home, work, spans, waits, more)| {
        let (flow, tier, confirmed, pay, laid_off) = more;
        let mut working: Vec<(Date, Date)> = Vec::new();
        for (from, long) in spans {
            if working.last().is_none_or(|(_, to)| *to < day(from - 1)) {
                working.push((day(from), day(from + long)));
            }
        }
        let over_on = working.last().map(|(_, to)| to.tomorrow().unwrap());
        HireState {
            platform: ["a", "b"][flow % 2].to_owned(),
            category: Category::ALL[tier],
            home,
            work,
            flow: Flow::ALL[flow],
            tier_at_hire: Tier::ALL[tier],
            hired_on: day(waits),
            started_on: working.first().map(|(from, _)| *from),
            over_on,
            end_reason: over_on.filter(|_| laid_off).map(|_| EndReason::LaidOff),
            awaited: if working.is_empty() { vec![(day(waits), day(waits + 40))] } else { Vec::new() },
            working,
            confirmed_on: confirmed.map(day),
            months: Vec::new(),
            monthly_pay: pay,
        }
    })
}

fn an_account() -> impl Strategy<Value = Account> {
    let tiers = proptest::collection::btree_map((0i32..500).prop_map(day), (0usize..3).prop_map(|t| Tier::ALL[t]), 0..3);
    (tiers, proptest::collection::vec(a_hire(), 0..4)).prop_map(|(tiers, hires)| Account {
        tiers,
        hires: hires.into_iter().enumerate().map(|(n, h)| (Uuid::from_u128(n as u128 + 1), h.into())).collect(),
    })
}

fn numbers(platform: &str) -> u16 {
    if platform == "a" { 1 } else { 2 }
}

/// The page of a place on a day, as a reader of cells puts it together.
fn read(change: &Change, axis: Axis, region: Region, on: i32) -> Page {
    let (base, nodes) = days_of(on);
    let page = |bucket| change.pages.get(&Place { bucket, axis, region });
    let mut out = Page::default();
    if nodes.is_empty() {
        page(base).into_iter().for_each(|p| out.merge(p));
    } else if let Some(base) = page(base) {
        out.merge(&Page::counts_of(&base.to_bytes(), Which::going_into(Month::of(on), Sections::ALL)).unwrap());
    }
    nodes.into_iter().filter_map(page).for_each(|p| out.merge(p));
    out
}

/// How many people a page counts by flow as working, of them new in its month, quarter
/// and year, and how many as awaiting a start.
fn sums(page: &Page) -> [i64; 5] {
    let mut out = [0; 5];
    for (_, measure, n) in page.section(Section::Flow) {
        let at = match measure {
            0..=3 => 0,
            m if m == Measure::NewInMonth as u16 => 1,
            m if m == Measure::NewInQuarter as u16 => 2,
            m if m == Measure::NewInYear as u16 => 3,
            m if m == Measure::AwaitingStart as u16 => 4,
            _ => continue,
        };
        out[at] += n;
    }
    out
}

/// The same of one account, by looking at the days themselves.
fn plainly(account: &Account, home: Region, on: i32) -> [i64; 5] {
    let Some(now) = account.standing(on).filter(|s| s.hire.home == home) else { return [0; 5] };
    let worked = |day: Date| account.standing(number(day) - 1).is_some_and(|s| s.working);
    let today = from_day_number(on.into());
    let text = [
        format!("{:04}-{:02}", today.year(), today.month()),
        format!("{:04}Q{}", today.year(), (today.month() - 1) / 3 + 1),
        format!("{:04}", today.year()),
    ];
    let new = text.map(|p| i64::from(now.working && !worked(Period::parse(&p).unwrap().first_day())));
    [i64::from(now.working), new[0], new[1], new[2], i64::from(!now.working)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever somebody was before, the cells of any day say what they are now.
    #[test]
    fn cells_say_of_every_day_what_the_days_themselves_say(old in an_account(), new in an_account(), days in proptest::collection::vec(0i32..640, 12)) {
        let mut change = Change::default();
        change.add(&Account::default(), &old, &numbers);
        change.add(&old, &new, &numbers);
        change.settle();
        let mut homes: Vec<Region> = new.hires.values().chain(old.hires.values()).map(|h| h.home).collect();
        homes.sort_unstable();
        homes.dedup();
        for on in days.iter().map(|n| number(day(*n))).flat_map(|d| [d, Month::of(d).last_day(), Month::of(d).first_day()]) {
            for home in &homes {
                prop_assert_eq!(sums(&read(&change, Axis::Home, *home, on)), plainly(&new, *home, on), "{} {}", from_day_number(on.into()), home);
            }
        }
        let mut alone = Change::default();
        alone.add(&Account::default(), &new, &numbers);
        alone.settle();
        prop_assert_eq!(&change, &alone);
        // With what was gathered put into bytes in between, and together.
        for settled in [true, false] {
            let mut tally = Tally::default();
            tally.add(&[(&Account::default(), &old)], &numbers);
            if settled {
                tally.settle();
            }
            tally.add(&[(&old, &new)], &numbers);
            tally.settle();
            let pages: BTreeMap<Place, Page> = tally.pages().map(|(place, bytes)| (*place, Page::from_bytes(bytes).unwrap())).collect();
            prop_assert!(pages.iter().eq(alone.pages()));
        }
        change.add(&new, &Account::default(), &numbers);
        change.settle();
        prop_assert!(change.is_empty(), "what is taken away again leaves nothing");
    }

    /// Of months that are over for long their ends are kept, and of the others all.
    #[test]
    fn days_are_kept_from_the_month_before_the_present_one_on(old in an_account(), new in an_account(), days in proptest::collection::vec(0i32..640, 6), present in 0i32..640) {
        let first = Month::of(number(day(present))).first_with_days();
        let (mut change, mut whole) = (Change::with_days_from(first), Change::default());
        for made in [&mut change, &mut whole] {
            made.add(&Account::default(), &old, &numbers);
            made.add(&old, &new, &numbers);
            made.settle();
        }
        let kept = whole.pages().filter(|(p, _)| p.bucket.month_of_days().is_none_or(|month| month >= first));
        prop_assert!(kept.eq(change.pages()));
        for on in days.iter().map(|n| number(day(*n))) {
            let on = if Month::of(on) < first { Month::of(on).last_day() } else { on };
            for home in new.hires.values().map(|h| h.home) {
                prop_assert_eq!(sums(&read(&change, Axis::Home, home, on)), plainly(&new, home, on), "{}", from_day_number(on.into()));
            }
        }
    }

    #[test]
    fn what_happens_once_is_counted_in_the_period_it_falls_into(account in an_account(), upto in 0i32..640) {
        let mut change = Change::default();
        change.add(&Account::default(), &account, &numbers);
        let today = day(upto);
        for text in [format!("{:04}", today.year()), format!("{:04}Q{}", today.year(), (today.month() - 1) / 3 + 1), format!("{:04}-{:02}", today.year(), today.month())] {
            let period = Period::parse(&text).unwrap();
            let (whole, nodes) = whole_of(period, number(today));
            let mut found = [0i64; 6];
            for (place, page) in change.pages().filter(|(p, _)| whole.contains(&p.bucket) || nodes.contains(&p.bucket)) {
                prop_assert_eq!(place.axis == Axis::Work, page.section(Section::Turn).next().is_none() && place.axis == Axis::Work);
                page.section(Section::Turn).for_each(|(_, turn, n)| found[turn as usize] += n);
            }
            let mut expected = [0i64; 6];
            for (on, turn) in account.hires.values().flat_map(|h| h.turns()) {
                expected[turn as usize] += i64::from(number(period.first_day()) <= on && on <= number(today));
            }
            prop_assert_eq!(found, expected, "{}", text);
        }
    }

    #[test]
    fn a_page_is_read_back_as_it_was_written(entries in proptest::collection::vec((0usize..5, any::<u32>(), any::<u16>(), -1_000_000i64..1_000_000), 0..40)) {
        let sections = [Section::Flow, Section::Platform, Section::Way, Section::Pay, Section::Turn];
        let mut page = Page::default();
        for (section, part, measure, n) in entries {
            page.add(sections[section], part, measure, n);
        }
        let bytes = page.to_bytes();
        let older = as_before(&page, &sections);
        for bytes in [&bytes, &older] {
            prop_assert_eq!(Page::from_bytes(bytes), Some(page.clone()));
            for asked in [Sections::FLOW, Sections::of(&[Section::Way]), Sections::of(&[Section::Platform, Section::Turn])] {
                let only = page.only(asked);
                prop_assert_eq!(Page::sections_of(bytes, asked), Some(only.clone()));
                let mut out = vec![7];
                prop_assert_eq!(cut(bytes, asked, &mut out), Some(()));
                prop_assert_eq!(Page::sections_of(&out[1..], asked), Some(only.clone()));
                prop_assert!(*bytes == older || out[1..] == only.to_bytes());
            }
        }
        if !page.is_empty() {
            prop_assert_ne!(Page::from_bytes(&bytes[..bytes.len() - 1]), Some(page));
        }
    }
}

/// A page as older versions wrote it: steps and counts in one row.
fn as_before(page: &Page, sections: &[Section]) -> Vec<u8> {
    let (mut out, mut last) = (Vec::new(), 0);
    for section in sections {
        for (part, measure, n) in page.section(*section) {
            let key = (*section as u64) << 48 | u64::from(part) << 16 | u64::from(measure);
            varint::write(&mut out, key - last);
            varint::write(&mut out, varint::signed(n));
            last = key;
        }
    }
    out
}

#[test]
fn bytes_that_no_version_wrote_are_no_page() {
    let mut page = Page::default();
    page.add(Section::Flow, 1, 2, 3);
    page.add(Section::Turn, 4, 5, 6);
    let whole = page.to_bytes();
    assert_eq!(whole, [0, 0, 0, 0, 4, 0x82, 0x80, 4, 6, 9, 4, 0x85, 0x80, 0x10, 12]);
    // The second section's length goes beyond the end, also for who does not ask for it.
    let flow_and_way = Sections::of(&[Section::Flow, Section::Offer]);
    assert_eq!(Page::sections_of(&whole[..whole.len() - 1], flow_and_way), None);
    assert_eq!(cut(&whole[..whole.len() - 1], flow_and_way, &mut Vec::new()), None);
    let twice = [&whole[..], &whole[9..]].concat();
    assert_eq!(Page::from_bytes(&twice), None, "a section stands once");
    let without_step = [0, 0, 0, 9, 4, 5, 12, 0, 12];
    assert_eq!(Page::from_bytes(&without_step), None);
    // A step into the next section.
    let beyond = [&[0, 0, 0, 0, 9][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0, 2]].concat();
    assert_eq!(Page::from_bytes(&beyond), None);
    assert_eq!(Page::from_bytes(&[]), Some(Page::default()));
}

#[test]
fn a_year_is_read_from_few_buckets() {
    let on = |text: &str, day: Date| {
        let (whole, nodes) = whole_of(Period::parse(text).unwrap(), number(day));
        (whole.len(), nodes.len())
    };
    assert_eq!(on("2020", date(2020, 12, 31)), (1, 0));
    assert_eq!(on("2020", date(2020, 11, 15)), (4, 4), "three quarters, October, and 15 = 8 + 4 + 2 + 1 days");
    assert_eq!(on("2020Q3", date(2020, 9, 30)), (1, 0));
    assert_eq!(on("2020-02", date(2020, 2, 16)), (0, 1));
    assert_eq!(on("2020Q1", date(2020, 2, 29)), (2, 0));
}
