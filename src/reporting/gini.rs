//! How unequally something is spread over groups of people.

/// One group: what it has, and how many people it is.
pub type Group = (u64, u64);

/// The Gini coefficient of what each person has, all of a group having its mean:
/// half the relative mean difference (A. Sen, On Economic Inequality, Oxford 1973, chapter 2) with
/// every group weighted by its people,
///
/// G = Σᵢ Σⱼ pᵢ pⱼ |xᵢ − xⱼ| ÷ (2 P² x̄) = Σᵢ﹤ⱼ |aⱼ pᵢ − aᵢ pⱼ| ÷ (A P),
///
/// where group i has aᵢ for its pᵢ people, xᵢ = aᵢ ÷ pᵢ, and A and P are the sums. 0
/// where all have alike, below 1 always. Counted in whole numbers, so that it is the
/// same on every machine. None where fewer than two groups have people, or nobody
/// has anything.
pub fn gini(groups: &[Group]) -> Option<f64> {
    let mut groups: Vec<Group> = groups.iter().copied().filter(|(_, people)| *people > 0).collect();
    if groups.len() < 2 {
        return None;
    }
    // By what a person has: every difference then has the later group first.
    let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
    groups.sort_unstable_by(|(a, p), (b, q)| product(*a, *q).cmp(&product(*b, *p)));
    let (mut had, mut people, mut differences) = (0, 0, 0);
    for (a, p) in groups {
        differences += product(a, people) - product(had, p);
        had += a;
        people += p;
    }
    (had > 0).then(|| differences as f64 / product(had, people) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The mean difference, person by person.
    fn by_persons(groups: &[Group]) -> f64 {
        let persons: Vec<f64> = groups.iter().flat_map(|(a, p)| (0..*p).map(|_| *a as f64 / *p as f64)).collect();
        let n = persons.len() as f64;
        let mean = persons.iter().sum::<f64>() / n;
        let differences: f64 = persons.iter().map(|x| persons.iter().map(|y| (x - y).abs()).sum::<f64>()).sum();
        differences / (2.0 * n * n * mean)
    }

    #[test]
    fn known_cases() {
        assert_eq!(gini(&[(10, 100), (10, 100), (20, 200)]), Some(0.0), "all alike");
        assert_eq!(gini(&[(0, 50), (10, 50)]), Some(0.5), "half have all");
        assert_eq!(gini(&[(0, 999_999), (1, 1)]), Some(0.999_999));
        for none in [&[][..], &[(5, 10)], &[(5, 10), (3, 0)], &[(0, 10), (0, 20)]] {
            assert_eq!(gini(none), None, "{none:?}");
        }
        // Thirty million people and a year's offers to them.
        let half = gini(&[(0, 15_000_000), (400_000_000, 15_000_000)]);
        assert_eq!(half, Some(0.5));
    }

    proptest! {
        #[test]
        fn it_is_half_the_relative_mean_difference_of_persons(groups in prop::collection::vec((0u64..40, 0u64..15), 2..9)) {
            if let Some(found) = gini(&groups) {
                let expected = by_persons(&groups.iter().copied().filter(|g| g.1 > 0).collect::<Vec<_>>());
                prop_assert!((found - expected).abs() < 1e-9, "{found} {expected}");
            }
        }
    }
}
