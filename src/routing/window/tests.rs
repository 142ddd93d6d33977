use super::*;
use crate::domain::eligibility::tests::{TERMS, question, seeker};
use crate::domain::worker::{Destinations, Seeker};
use crate::routing::plain::PlainIndex;
use crate::store::work::Kind;
use uuid::Uuid;

fn wants(offers: u32) -> Wants {
    Wants { offers, of_county: None }
}

fn wanting(n: u128, wanted: u32, skills: u64) -> Wanting {
    let lease = Lease { kind: Kind::Route, key: Uuid::from_u128(n), fence: 1 };
    Wanting::new(lease, Some(Question { skills, ..question() }), wants(wanted), Vec::new())
}

/// `n` people who would go anywhere; every tenth has the skill.
fn index(n: u32) -> PlainIndex {
    let index = PlainIndex::new(Vec::new());
    let any = Destinations { any: true, provinces: Vec::new() };
    index.load(
        (1..=n).map(|handle| Seeker { handle, destinations: any.clone(), skills: u64::from(handle % 10 == 0), ..seeker() }).collect(),
    );
    index
}

fn keys(window: &[Wanting]) -> Vec<u128> {
    window.iter().map(|one| one.lease.key.as_u128()).collect()
}

#[test]
fn who_has_the_fewest_people_for_each_offer_chooses_first() {
    let nobody = Wanting::new(wanting(4, 9, 0).lease, None, wants(9), Vec::new());
    let window = vec![wanting(1, 1, 0), wanting(2, 10, 0), wanting(3, 5, 1), nobody];
    let window = scarcest_first(window, &index(100), TERMS);
    // 100 ÷ 1 counted up to 8, 100 ÷ 10 up to 8, 10 ÷ 5; nobody to be asked.
    assert_eq!(keys(&window)[0], 4);
    assert_eq!(keys(&window)[1], 3);
    assert_eq!(window[0].wanted, 0, "nothing is wanted where nobody is to be offered it");
}

#[test]
fn the_scarce_are_taken_out_of_a_window_of_any_size() {
    let mut window: Vec<Wanting> = (0..3000).map(|n| wanting(n, 1, 0)).collect();
    window.push(wanting(9999, 5, 1));
    assert_eq!(keys(&scarcest_first(window, &index(100), TERMS))[0], 9999);
}

#[test]
fn a_part_holds_so_many_offers_and_at_least_one_posting() {
    let window = [3, 3, 3, 50, 1].iter().zip(1..).map(|(wanted, n)| wanting(n, *wanted, 0));
    let mut window: VecDeque<Wanting> = window.map(|one| Wanting { scarcity: Scarcity::counted(100, one.wanted), ..one }).collect();
    let mut parts = Vec::new();
    while !window.is_empty() {
        parts.push(keys(&part(&mut window, 7)));
    }
    assert_eq!(parts, [vec![1, 2], vec![3], vec![4], vec![5]]);
    assert!(part(&mut window, 7).is_empty());
    // Where nobody suits, much may be wanted and little comes of it.
    window.extend((1..=5).map(|n| wanting(n, 600, 0)));
    assert_eq!(part(&mut window, 4).len(), 4);
}

#[test]
fn waves_are_cut_into_slices_in_their_order() {
    let wave = |n: u128, candidates: usize| {
        let lease = wanting(n, 0, 0).lease;
        let candidates = (0..candidates as u32)
            .map(|handle| Candidate { handle, grounds: Grounds::parse("1;;0;0;;;").unwrap(), reserved: true })
            .collect();
        Wave { posting: PostingId::new(lease.key), lease: Some(lease), candidates, exhausted: false, more: false }
    };
    let (mut cut, mut slices) = (Slices::default(), Vec::new());
    for one in [wave(1, 10), wave(2, 0), wave(3, 2 * SLICE), wave(4, 5)] {
        cut.add(one, |slice| slices.push(slice));
    }
    slices.push(cut.rest());
    let shown = |slice: &Vec<Wave>| -> Vec<_> { slice.iter().map(|w| (w.posting.uuid().as_u128(), w.candidates.len(), w.more)).collect() };
    assert_eq!(
        slices.iter().map(shown).collect::<Vec<_>>(),
        [vec![(1, 10, false), (2, 0, false), (3, SLICE - 11, true)], vec![(3, SLICE, true)], vec![(3, 11, false), (4, 5, false)]]
    );
    let third: Vec<u32> =
        slices.iter().flatten().filter(|w| w.posting.uuid().as_u128() == 3).flat_map(|w| &w.candidates).map(|c| c.handle).collect();
    assert_eq!(third, (0..2 * SLICE as u32).collect::<Vec<_>>());
    assert!(cut.rest().is_empty());
}

#[test]
fn who_was_chosen_is_counted_before_the_next_choice() {
    let index = index(10);
    let choosing = Choosing { index: &index, focus: &[], floor_share: 0.0, terms: crate::domain::eligibility::Terms { cap: 1, ..TERMS } };
    let first: Vec<u32> = choosing.wave(wanting(1, 9, 0)).candidates.iter().take(9).map(|c| c.handle).collect();
    let second = choosing.wave(wanting(2, 9, 0));
    assert!(second.exhausted);
    assert_eq!(second.candidates.len(), 1);
    assert!(!first.contains(&second.candidates[0].handle));
}
