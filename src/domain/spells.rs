//! Which reports of one job belong to one hire.
//!
//! Promises: the answer follows from the set of reports alone, in whatever order
//! they came; another report may split a hire and never joins two.

/// For each report of one person at one posting – whether it ends a hire, and its
/// day – the number of the hire it belongs to, counted from the earliest. What ends
/// and has no beginning before it belongs to none yet. What is dated on the day of
/// an end belongs to the hire that ends.
pub fn spells(reports: &[(bool, i64)]) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..reports.len()).collect();
    order.sort_by_key(|at| (reports[*at].1, reports[*at].0));
    let mut out = vec![None; reports.len()];
    let (mut begun, mut over) = (0usize, true);
    for at in order {
        let (ends, _) = reports[at];
        if !ends && over {
            begun += 1;
        }
        over = ends;
        out[at] = begun.checked_sub(1);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reports: &[(bool, i64)], expected: &[Option<usize>]) {
        assert_eq!(spells(reports), expected, "{reports:?}");
    }

    #[test]
    fn what_begins_after_an_end_is_another_hire() {
        check(&[(false, 10), (true, 12), (false, 15), (true, 20), (true, 22)], &[Some(0), Some(0), Some(1), Some(1), Some(1)]);
        check(&[(false, 15), (true, 12), (false, 10)], &[Some(1), Some(0), Some(0)]);
    }

    #[test]
    fn an_end_before_every_beginning_belongs_to_none() {
        check(&[(true, 5), (false, 10)], &[None, Some(0)]);
        check(&[(true, 5)], &[None]);
        check(&[], &[]);
    }

    #[test]
    fn what_is_dated_on_the_day_of_an_end_belongs_to_the_hire_that_ends() {
        check(&[(false, 10), (true, 12), (false, 12)], &[Some(0), Some(0), Some(0)]);
        check(&[(true, 10), (false, 10)], &[Some(0), Some(0)]);
    }

    #[test]
    fn another_report_never_joins_two_hires() {
        let all: Vec<(bool, i64)> = (0..4i64).flat_map(|day| [(false, day), (true, day)]).collect();
        for chosen in 0u32..1 << all.len() {
            let some: Vec<_> = (0..all.len()).filter(|at| chosen >> at & 1 == 1).map(|at| all[at]).collect();
            let of = spells(&some);
            for one in &all {
                let more = spells(&[some.as_slice(), &[*one]].concat());
                for a in 0..some.len() {
                    for b in 0..some.len() {
                        assert!(of[a].is_none() || of[a] == of[b] || more[a] != more[b], "{some:?} and {one:?}");
                    }
                }
            }
        }
    }
}
