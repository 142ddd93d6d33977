//! Accounts as the store keeps them, one for each person: in a sixth of the bytes of
//! their JSON, so that those of a county lie on few pages.
//!
//! Numbers are as in [`varint`](crate::domain::varint). An account is its tiers (how many;
//! of each the day and the tier), then its hires (how many); a hire is its id in 16 bytes,
//! its platform behind its length, and numbers. A day is told from one that was told before
//! it, a code is the place in its `ALL`, which only grows at its end; what may be missing is
//! 0, and one more where it is there. An account of nothing has no bytes.

use super::{Account, HireState, number};
use crate::domain::category::Category;
use crate::domain::hire::{EndReason, Flow};
use crate::domain::region::Region;
use crate::domain::time::{day_number, from_day_number};
use crate::domain::varint::{read, signed, unsigned, write};
use crate::domain::worker::Tier;
use jiff::civil::Date;
use std::collections::BTreeMap;
use uuid::Uuid;

impl Account {
    /// The account in bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if *self == Account::default() {
            return out;
        }
        write(&mut out, self.tiers.len() as u64);
        let mut before = 0;
        for (day, tier) in &self.tiers {
            put_day(&mut out, &mut before, *day);
            put_code(&mut out, &Tier::ALL, tier);
        }
        write(&mut out, self.hires.len() as u64);
        for (id, hire) in &self.hires {
            out.extend_from_slice(id.as_bytes());
            put_hire(&mut out, hire);
        }
        out
    }

    /// The account behind [`to_bytes`](Self::to_bytes); none where the bytes are of none.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        if from.is_empty() {
            return Some(Account::default());
        }
        let (mut tiers, mut before) = (BTreeMap::new(), 0);
        for _ in 0..read(from)? {
            tiers.insert(day(from, &mut before)?, code(from, &Tier::ALL)?);
        }
        let mut hires = BTreeMap::new();
        for _ in 0..read(from)? {
            let id = Uuid::from_slice(from.split_off(..16)?).ok()?;
            hires.insert(id, Box::new(hire(from)?));
        }
        from.is_empty().then_some(Account { tiers, hires })
    }
}

fn put_hire(out: &mut Vec<u8>, hire: &HireState) {
    write(out, hire.platform.len() as u64);
    out.extend_from_slice(hire.platform.as_bytes());
    put_code(out, &Category::ALL, &hire.category);
    write(out, hire.home.code().into());
    put_some(out, hire.work.map(|work| work.code().into()));
    put_code(out, &Flow::ALL, &hire.flow);
    put_code(out, &Tier::ALL, &hire.tier_at_hire);
    let mut before = 0;
    put_day(out, &mut before, hire.hired_on);
    let hired = before;
    for on in [hire.started_on, hire.over_on, hire.confirmed_on] {
        put_some(out, on.map(|on| signed(i64::from(number(on)) - hired)));
    }
    put_some(out, hire.end_reason.map(|reason| place(&EndReason::ALL, &reason)));
    for spans in [&hire.working, &hire.awaited] {
        write(out, spans.len() as u64);
        for (first, last) in spans {
            put_day(out, &mut before, *first);
            put_day(out, &mut before, *last);
        }
    }
    write(out, hire.months.len() as u64);
    hire.months.iter().for_each(|month| put_day(out, &mut before, *month));
    put_some(out, hire.monthly_pay.map(u64::from));
}

fn hire(from: &mut &[u8]) -> Option<HireState> {
    let length = usize::try_from(read(from)?).ok()?;
    let platform = String::from_utf8(from.split_off(..length)?.to_vec()).ok()?;
    let category = code(from, &Category::ALL)?;
    let home = region(read(from)?)?;
    let work = match some(from)? {
        None => None,
        Some(code) => Some(region(code)?),
    };
    let (flow, tier_at_hire) = (code(from, &Flow::ALL)?, code(from, &Tier::ALL)?);
    let mut before = 0;
    let hired_on = day(from, &mut before)?;
    let hired = before;
    let mut one_day = || match some(from)? {
        None => Some(None),
        Some(n) => date(hired.checked_add(unsigned(n))?).map(Some),
    };
    let (started_on, over_on, confirmed_on) = (one_day()?, one_day()?, one_day()?);
    let end_reason = match some(from)? {
        None => None,
        Some(at) => Some(*EndReason::ALL.get(usize::try_from(at).ok()?)?),
    };
    let mut spans = || {
        let mut spans = Vec::new();
        for _ in 0..read(from)? {
            spans.push((day(from, &mut before)?, day(from, &mut before)?));
        }
        Some(spans)
    };
    let (working, awaited) = (spans()?, spans()?);
    let mut months = Vec::new();
    for _ in 0..read(from)? {
        months.push(day(from, &mut before)?);
    }
    let monthly_pay = match some(from)? {
        None => None,
        Some(pay) => Some(u32::try_from(pay).ok()?),
    };
    Some(HireState {
        platform,
        category,
        home,
        work,
        flow,
        tier_at_hire,
        hired_on,
        started_on,
        over_on,
        end_reason,
        working,
        awaited,
        confirmed_on,
        months,
        monthly_pay,
    })
}

fn put_some(out: &mut Vec<u8>, n: Option<u64>) {
    write(out, n.map_or(0, |n| n + 1));
}

/// A number, where there is one.
fn some(from: &mut &[u8]) -> Option<Option<u64>> {
    Some(read(from)?.checked_sub(1))
}

fn put_day(out: &mut Vec<u8>, before: &mut i64, day: Date) {
    let day = i64::from(number(day));
    write(out, signed(day - *before));
    *before = day;
}

fn day(from: &mut &[u8], before: &mut i64) -> Option<Date> {
    *before = before.checked_add(unsigned(read(from)?))?;
    date(*before)
}

fn date(number: i64) -> Option<Date> {
    (day_number(Date::MIN)..=day_number(Date::MAX)).contains(&number).then(|| from_day_number(number))
}

fn place<T: PartialEq>(all: &[T], one: &T) -> u64 {
    all.iter().position(|other| other == one).unwrap_or(all.len()) as u64
}

fn put_code<T: PartialEq>(out: &mut Vec<u8>, all: &[T], one: &T) {
    write(out, place(all, one));
}

fn code<T: Copy>(from: &mut &[u8], all: &[T]) -> Option<T> {
    all.get(usize::try_from(read(from)?).ok()?).copied()
}

fn region(code: u64) -> Option<Region> {
    Region::from_code(u32::try_from(code).ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::HireFrame;
    use super::super::tests::{a_day, a_life};
    use super::*;
    use crate::domain::hire::{Life, Tags};
    use proptest::prelude::*;

    /// A hire as facts make it.
    fn a_hire() -> impl Strategy<Value = Option<HireState>> {
        let places: Vec<Region> = Region::all().collect();
        let place = proptest::sample::select(places);
        let codes = (0..Category::ALL.len(), 0..Flow::ALL.len(), 0..Tier::ALL.len(), proptest::option::of(0..EndReason::ALL.len()));
        let more = ("[a-z骑]{0,9}", a_day(), proptest::option::of(any::<u32>()));
        (a_life(), (place.clone(), proptest::option::of(place)), codes, more).prop_map(|(life, places, codes, more)| {
            let ((home, work), (category, flow, tier, reason), (platform, hired_on, monthly_pay)) = (places, codes, more);
            let flow = Flow::ALL[flow];
            let tags = Tags::of(home, Tier::ALL[tier], (flow, work), false, 0);
            let category = Category::ALL[category];
            let end_reason = reason.map(|at| EndReason::ALL[at]);
            let frame = HireFrame { platform: &platform, category, home, work, flow, tags: &tags, hired_on, end_reason, monthly_pay };
            HireState::of(frame, &life, 3)
        })
    }

    fn an_account() -> impl Strategy<Value = Account> {
        let tiers = proptest::collection::btree_map(a_day(), proptest::sample::select(Tier::ALL.to_vec()), 0..4);
        let hires = proptest::collection::btree_map(any::<u128>().prop_map(Uuid::from_u128), a_hire(), 0..4);
        (tiers, hires).prop_map(|(tiers, hires)| Account {
            tiers,
            hires: hires.into_iter().filter_map(|(id, hire)| Some((id, Box::new(hire?)))).collect(),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        #[test]
        fn accounts_come_back_and_parts_of_them_do_not(account in an_account()) {
            let bytes = account.to_bytes();
            for end in 1..bytes.len() {
                prop_assert_eq!(Account::from_bytes(&bytes[..end]), None, "{} of {}", end, bytes.len());
            }
            if !bytes.is_empty() {
                prop_assert_eq!(Account::from_bytes(&[bytes.as_slice(), &[0]].concat()), None);
            }
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 0x51;
                prop_assert_ne!(Account::from_bytes(&other), Some(account.clone()), "another byte {}", at);
            }
            prop_assert_eq!(Account::from_bytes(&bytes), Some(account));
        }

        #[test]
        fn bytes_of_anything_are_an_account_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let account = Account::from_bytes(&bytes);
            prop_assert_eq!(account.as_ref().and_then(|account| Account::from_bytes(&account.to_bytes())), account);
        }
    }

    #[test]
    fn an_account_takes_less_than_a_fifth_of_its_json() {
        let day = |n: i64| from_day_number(18_000 + n);
        let tags = Tags::of(Region::NATION, Tier::Lifted, (Flow::InCounty, None), false, 0);
        let frame = HireFrame {
            platform: "riders",
            category: Category::ALL[0],
            home: Region::NATION,
            work: Some(Region::NATION),
            flow: Flow::InCounty,
            tags: &tags,
            hired_on: day(0),
            end_reason: None,
            monthly_pay: Some(5_000),
        };
        let life = Life { facts: vec![crate::domain::hire::Fact::Started(day(1))], ..Life::default() };
        let hire = HireState::of(frame, &life, 3).unwrap();
        let account = Account { tiers: [(day(0), Tier::Lifted)].into(), hires: [(Uuid::from_u128(7), Box::new(hire))].into() };
        let (bytes, json) = (account.to_bytes(), serde_json::to_string(&account).unwrap());
        assert!(bytes.len() * 5 < json.len(), "{} of {}", bytes.len(), json.len());
    }
}
