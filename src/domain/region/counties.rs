//! A set of leaf divisions, one bit each.

use super::Region;

/// Leaf divisions, by their index. Asked once for each worker looked at, so it is
/// a bit array and not a hash set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counties {
    words: Vec<u64>,
}

impl Counties {
    /// Whether this leaf is in it; false for what is not a leaf.
    pub fn contains(&self, region: Region) -> bool {
        region.leaf_index().is_some_and(|leaf| self.has(leaf))
    }

    /// [`Counties::contains`] by [`Region::leaf_index`].
    #[inline]
    pub fn has(&self, leaf: u16) -> bool {
        self.words.get(usize::from(leaf >> 6)).is_some_and(|word| word >> (leaf & 63) & 1 == 1)
    }

    /// The leaf indexes in it, ascending.
    pub fn leaves(&self) -> impl Iterator<Item = u16> + '_ {
        (0u16..).zip(&self.words).flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as u16;
                rest &= rest.wrapping_sub(1);
                (bit < 64).then_some(at * 64 + bit)
            })
        })
    }
}

impl Extend<Region> for Counties {
    fn extend<I: IntoIterator<Item = Region>>(&mut self, regions: I) {
        self.words.resize(Region::leaf_count().div_ceil(64), 0);
        for leaf in regions.into_iter().filter_map(Region::leaf_index) {
            self.words[usize::from(leaf >> 6)] |= 1 << (leaf & 63);
        }
    }
}

impl FromIterator<Region> for Counties {
    fn from_iter<I: IntoIterator<Item = Region>>(regions: I) -> Self {
        let mut out = Self::default();
        out.extend(regions);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_lists_it_in_order() {
        let all = Region::NATION.leaves();
        let picked: Vec<Region> = all.iter().copied().step_by(61).collect();
        let set: Counties = picked.iter().rev().copied().chain([Region::NATION]).collect();
        assert_eq!(set.leaves().filter_map(Region::leaf_at).collect::<Vec<_>>(), picked);
        assert!(all.iter().all(|r| set.contains(*r) == picked.contains(r)));
        assert!(!set.contains(Region::NATION));
        assert!(!Counties::default().contains(all[0]));
    }
}
