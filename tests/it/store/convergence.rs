//! Any order and any repetition of the same reports ends in the same hires.

use super::*;
use crate::harness::{a_posting, on_every_engine};
use doorstep::domain::hire::EndReason;
use doorstep::domain::ranking::mix;
use jiff::ToSpan;
use jiff::civil::date;

on_every_engine![any_order_and_repetition_ends_in_the_same_hires];

const PLATFORMS: [&str; 2] = [PLATFORM, "second"];
/// Reports of a story at most.
const REPORTS: usize = 9;

struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = mix(self.0);
        (self.0 % n as u64) as usize
    }

    /// This list in another order, some of it twice.
    fn shuffled(&mut self, list: &[(usize, StatusReport)]) -> Vec<(usize, StatusReport)> {
        let mut out = list.to_vec();
        for _ in 0..self.below(4) {
            out.push(list[self.below(list.len())].clone());
        }
        for at in (1..out.len()).rev() {
            let other = self.below(at + 1);
            out.swap(at, other);
        }
        out
    }

    /// Something that a platform may report of somebody in a month of May.
    fn report(&mut self) -> (usize, StatusReport) {
        const KINDS: [HireStatus; 9] = [
            HireStatus::Hired,
            HireStatus::Onboarded,
            HireStatus::Onboarded,
            HireStatus::Active,
            HireStatus::Ended,
            HireStatus::Ended,
            HireStatus::Withdrawn,
            HireStatus::NotSelected,
            HireStatus::UnableToMap,
        ];
        let kind = KINDS[self.below(KINDS.len())];
        let day = date(2020, 5, 1) + (self.below(8) as i64).days();
        let mut s = status(kind, &day.to_string());
        s.at = s.at.plus(HOUR * self.below(2) as u32);
        s.raw_status = [None, Some("甲"), Some("乙")][self.below(3)].map(str::to_owned);
        s.month = (kind == HireStatus::Active && self.below(2) == 0).then(|| date(2020, 1 + self.below(5) as i8, 1));
        s.reason = [None, Some(EndReason::Quit), Some(EndReason::LaidOff)][self.below(3)].filter(|_| kind == HireStatus::Ended);
        (self.below(PLATFORMS.len()), s)
    }
}

/// Tells the store of a fresh worker what was reported, a few reports at a time; what
/// is known of them in the end.
async fn told(b: &Bench, postings: [PostingId; 2], reports: &[(usize, StatusReport)], draw: &mut Draw) -> Vec<String> {
    let worker = b.person().await;
    let offers = [b.offer(postings[0], &[worker]).await[0], b.offer(postings[1], &[worker]).await[0]];
    let mut rest = reports;
    while !rest.is_empty() {
        let (slice, after) = rest.split_at(1 + draw.below(rest.len().min(3)));
        for (n, platform) in PLATFORMS.iter().enumerate() {
            let of = slice.iter().filter(|(p, _)| *p == n);
            let own: Vec<Report> = of.map(|(_, s)| Report { subject: Subject::Offer(offers[n]), report: s.clone() }).collect();
            let terms = HireTerms {
                platform: (*platform).to_owned(),
                share: PlatformConfig::default(),
                promoted_within: PROMOTED,
                displaced_for: HOUR,
            };
            b.store.report_hires(terms, Arc::new(own), None, noon()).await.unwrap();
        }
        rest = after;
    }
    let lives = b.store.lives(worker).await.unwrap();
    let mut out = Vec::new();
    for h in b.store.worker_hires(worker).await.unwrap() {
        let (_, life) = lives.iter().find(|(id, _)| *id == h.id).expect("a hire has facts");
        assert_eq!((life.started_on(), life.ended_on()), (h.started_on, h.ended_on), "the row says what its facts say");
        let mut facts: Vec<String> = life.facts.iter().map(|f| format!("{f:?}")).collect();
        facts.sort();
        let n = PLATFORMS.iter().position(|p| *p == h.platform).unwrap();
        let seat = b.state(offers[n]).await.state;
        out.push(format!("{} {:?} {:?} {:?} {:?} {seat:?} {facts:?}", h.platform, h.status, h.started_on, h.ended_on, h.end_reason));
    }
    out.sort();
    out.push(format!("looking {}", b.store.seeker(worker).await.unwrap().unwrap().looking));
    out
}

async fn any_order_and_repetition_ends_in_the_same_hires(engine: Engine) {
    let b = bench(engine).await;
    let cases = if engine == Engine::Sqlite { 320 } else { 40 };
    let mut postings = Vec::new();
    for platform in PLATFORMS {
        let slice = Slice { platform: platform.to_owned(), ..b.slice(&[a_posting().openings(2 * cases + 10)]) };
        b.store.upsert_postings(slice, None, noon()).await.unwrap();
        let filter = doorstep::store::postings::PostingFilter { limit: 10, ..Default::default() };
        postings.push(b.store.postings(platform.to_owned(), filter).await.unwrap().0[0].id);
    }
    let postings = [postings[0], postings[1]];
    let (mut hires, mut again) = (0, 0);
    for case in 0..u64::from(cases) {
        let mut draw = Draw(case + 1);
        let reports: Vec<(usize, StatusReport)> = (0..1 + draw.below(REPORTS)).map(|_| draw.report()).collect();
        let (first, second) = (draw.shuffled(&reports), draw.shuffled(&reports));
        let one = told(&b, postings, &first, &mut draw).await;
        let other = told(&b, postings, &second, &mut draw).await;
        assert_eq!(one, other, "case {case}\n{first:#?}\n{second:#?}");
        hires += one.len() - 1;
        again += usize::from(PLATFORMS.iter().any(|p| one.iter().filter(|h| h.starts_with(p)).count() > 1));
    }
    assert!(hires >= cases as usize && again * 25 >= cases as usize, "{hires} hires, in {again} cases more than one of a posting");
}
