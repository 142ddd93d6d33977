//! The routing index of many people, as the gateway uses it.

use crate::harness::memory::allocations;
use doorstep::bench::people::{Nation, TODAY};
use doorstep::domain::eligibility::Terms;
use doorstep::domain::time::Moment;
use doorstep::routing::{Asked, Index, National, Of, Path, Scratch};

#[test]
fn a_question_asks_for_no_memory_once_as_hard_ones_were_answered() {
    let nation = Nation::new(2020, 0.0);
    let sets = ["listed-52".to_owned()];
    let terms = Terms { now: Moment::start_of(TODAY).ms(), today: TODAY, cap: 3 };
    let questions: Vec<_> = (0..200).flat_map(|n| [nation.question(n), nation.hard_question(n)]).collect();
    for path in Path::available() {
        let (index, mut scratch) = (National::with_path(&sets, 3, path), Scratch::default());
        index.load((0..20_000).map(|handle| nation.seeker(handle)).collect());
        let mut found = 0;
        let mut ask = || {
            for (question, k) in &questions {
                for of in [Of::Everybody, Of::Focus] {
                    index.search(Asked { of, question, k: *k, exclude: &[5, 3, 4], terms }, &mut scratch);
                    found += scratch.hits.len();
                }
            }
        };
        assert!(allocations(&mut ask) > 0, "the first time room is made");
        assert_eq!(allocations(&mut ask), 0, "{path:?}");
        assert!(found > 10_000, "{found} people are too few to tell");
    }
}
