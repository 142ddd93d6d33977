//! The Merkle tree of RFC 6962 §2.1 over entries that are only appended, and its
//! proofs.
//!
//! Promises: a tree of any size is grown from the few hashes of its [`Frontier`]; a
//! proof asks for perfect parts of the tree only, each by its level and place.
//! Does not: know what an entry is, or where hashes are kept.

use sha2::{Digest, Sha256};

/// A node of the tree.
pub type Hash = [u8; 32];

/// The hash of an entry.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of a node over two others.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root over a power of two of hashes of one level.
pub fn perfect_root(hashes: &[Hash]) -> Option<Hash> {
    let mut frontier = Frontier::default();
    hashes.iter().for_each(|hash| frontier.push(*hash));
    hashes.len().is_power_of_two().then(|| frontier.root())
}

/// What a tree needs to grow: the roots of its perfect parts, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// How many entries the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends the hash of an entry.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The tree's root; of no entries, the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Sha256::digest([]).into(),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }

    /// The root of the perfect part at this level and place, if it is one of the tree's
    /// largest.
    pub fn peak(&self, level: u32, index: u64) -> Option<Hash> {
        let above = self.size.checked_shr(level)?;
        (above & 1 == 1 && index == above - 1).then(|| self.peaks[(above >> 1).count_ones() as usize])
    }

    /// Whether the newest entries have these hashes: as many as stand in no perfect part
    /// that is larger.
    pub fn ends_with(&self, leaves: &[Hash]) -> bool {
        let mut last = Self::default();
        leaves.iter().for_each(|leaf| last.push(*leaf));
        self.peaks.ends_with(&last.peaks)
    }

    /// The hashes one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.peaks.concat()
    }

    /// Takes back [`to_bytes`](Self::to_bytes) of a tree of this size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (peaks, rest) = bytes.as_chunks::<32>();
        (rest.is_empty() && peaks.len() == size.count_ones() as usize).then(|| Self { size, peaks: peaks.to_vec() })
    }
}

/// Where a proof finds the root of the 2^level entries from index · 2^level on.
pub type Node<'a, E> = dyn FnMut(u32, u64) -> Result<Hash, E> + 'a;

/// The most of `n` ≥ 2 entries that stand left of the root: a power of two.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The root over the entries `from..to`, where `from` is a multiple of what the range
/// is rounded up to.
fn root_of<E>(from: u64, to: u64, node: &mut Node<'_, E>) -> Result<Hash, E> {
    let n = to - from;
    if n.is_power_of_two() {
        return node(n.ilog2(), from >> n.ilog2());
    }
    let middle = from + split(n);
    let left = root_of(from, middle, node)?;
    Ok(node_hash(&left, &root_of(middle, to, node)?))
}

/// RFC 6962 §2.1.1: what leads from entry `index` (from 0) to the root of `size`; none
/// where there is no such entry.
pub fn inclusion<E>(index: u64, size: u64, node: &mut Node<'_, E>) -> Result<Option<Vec<Hash>>, E> {
    if index >= size {
        return Ok(None);
    }
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(root_of(middle, to, node)?);
            to = middle;
        } else {
            path.push(root_of(from, middle, node)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// RFC 6962 §2.1.2: what shows that a tree of `old` entries is the beginning of one of
/// `size`; none where it cannot be.
pub fn consistency<E>(old: u64, size: u64, node: &mut Node<'_, E>) -> Result<Option<Vec<Hash>>, E> {
    if old == 0 || old > size {
        return Ok(None);
    }
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while old < to {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(root_of(middle, to, node)?);
            to = middle;
        } else {
            path.push(root_of(from, middle, node)?);
            from = middle;
        }
    }
    // The old tree itself is known to who asks; a part of it is not.
    if from > 0 {
        path.push(root_of(from, to, node)?);
    }
    path.reverse();
    Ok(Some(path))
}

/// The root that an inclusion proof leads to (RFC 9162 §2.1.3.2).
pub fn root_from_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut root) = (index, size - 1, leaf);
    for hash in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node_hash(hash, &root);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            root = node_hash(&root, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// Whether a consistency proof leads from one root to the other (RFC 9162 §2.1.4.2).
pub fn is_consistent(old: u64, old_root: &Hash, size: u64, root: &Hash, path: &[Hash]) -> bool {
    if old == size {
        return path.is_empty() && old_root == root;
    }
    if old == 0 || old > size {
        return false;
    }
    let mut hashes = path.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old - 1, size - 1);
    let shift = at.trailing_ones();
    (at, last) = (at >> shift, last >> shift);
    let (mut of_old, mut of_new) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (of_old, of_new) = (node_hash(hash, &of_old), node_hash(hash, &of_new));
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            of_new = node_hash(&of_new, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && of_old == *old_root && of_new == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    /// MTH of RFC 6962 §2.1, word for word.
    fn mth(entries: &[Vec<u8>]) -> Hash {
        match entries {
            [] => Sha256::digest([]).into(),
            [one] => leaf_hash(one),
            _ => {
                let (left, right) = entries.split_at(split(entries.len() as u64) as usize);
                node_hash(&mth(left), &mth(right))
            }
        }
    }

    /// PATH of §2.1.1.
    fn path(m: usize, entries: &[Vec<u8>]) -> Vec<Hash> {
        if entries.len() == 1 {
            return Vec::new();
        }
        let k = split(entries.len() as u64) as usize;
        let (left, right) = entries.split_at(k);
        let (mut inner, beside) = if m < k { (path(m, left), mth(right)) } else { (path(m - k, right), mth(left)) };
        inner.push(beside);
        inner
    }

    /// SUBPROOF of §2.1.2.
    fn subproof(m: usize, entries: &[Vec<u8>], whole: bool) -> Vec<Hash> {
        if m == entries.len() {
            return if whole { Vec::new() } else { vec![mth(entries)] };
        }
        let k = split(entries.len() as u64) as usize;
        let (left, right) = entries.split_at(k);
        let (mut inner, beside) = if m <= k { (subproof(m, left, whole), mth(right)) } else { (subproof(m - k, right, false), mth(left)) };
        inner.push(beside);
        inner
    }

    fn entries(n: usize) -> Vec<Vec<u8>> {
        (0..n).map(|i| format!("entry {i}").into_bytes()).collect()
    }

    fn grown(entries: &[Vec<u8>]) -> Frontier {
        let mut frontier = Frontier::default();
        entries.iter().for_each(|entry| frontier.push(leaf_hash(entry)));
        frontier
    }

    /// Perfect parts by the definition; the frontier's peaks must say the same.
    fn nodes<'a>(all: &'a [Vec<u8>], frontier: &'a Frontier) -> impl FnMut(u32, u64) -> Result<Hash, Infallible> + 'a {
        move |level, index| {
            let from = (index << level) as usize;
            let hash = mth(&all[from..from + (1 << level)]);
            assert_eq!(frontier.peak(level, index).unwrap_or(hash), hash);
            Ok(hash)
        }
    }

    #[test]
    fn the_hashes_of_nothing_and_of_one_empty_entry_are_the_standards() {
        let hex = |hash: Hash| hash.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(Frontier::default().root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    #[test]
    fn a_frontier_is_taken_back_for_its_own_size_alone() {
        let frontier = grown(&entries(300));
        assert_eq!(Frontier::from_bytes(300, &frontier.to_bytes()), Some(frontier.clone()));
        assert_eq!(Frontier::from_bytes(299, &frontier.to_bytes()), None);
        assert_eq!(Frontier::from_bytes(300, &frontier.to_bytes()[1..]), None);
        assert_eq!(frontier.peak(8, 0), Some(mth(&entries(256))));
        assert_eq!((frontier.peak(8, 1), frontier.peak(9, 0), frontier.peak(70, 0)), (None, None, None));
    }

    proptest! {
        #[test]
        fn roots_and_proofs_are_those_of_the_definition(size in 1usize..600, at in any::<prop::sample::Index>(), wrong in any::<prop::sample::Index>()) {
            let (all, at) = (entries(size), at.index(size));
            let frontier = grown(&all);
            let root = mth(&all);
            prop_assert_eq!(frontier.root(), root);
            let (index, n) = (at as u64, size as u64);
            let Ok(proof) = inclusion(index, n, &mut nodes(&all, &frontier));
            let proof = proof.unwrap();
            prop_assert_eq!(&proof, &path(at, &all));
            prop_assert_eq!(root_from_inclusion(leaf_hash(&all[at]), index, n, &proof), Some(root));
            let old = at + 1;
            let Ok(between) = consistency(old as u64, n, &mut nodes(&all, &frontier));
            let between = between.unwrap();
            prop_assert_eq!(&between, &subproof(old, &all, true));
            let before = mth(&all[..old]);
            prop_assert!(is_consistent(old as u64, &before, n, &root, &between));
            // Any other entry, and any hash of a proof that differs, leads elsewhere.
            let other = wrong.index(size);
            if other != at {
                prop_assert_ne!(root_from_inclusion(leaf_hash(&all[other]), index, n, &proof), Some(root));
            }
            for bad in 0..proof.len() {
                let mut proof = proof.clone();
                proof[bad][0] ^= 1;
                prop_assert_ne!(root_from_inclusion(leaf_hash(&all[at]), index, n, &proof), Some(root));
            }
            for bad in 0..between.len() {
                let mut between = between.clone();
                between[bad][31] ^= 1;
                prop_assert!(!is_consistent(old as u64, &before, n, &root, &between));
            }
            prop_assert!(!is_consistent(old as u64, &[7; 32], n, &root, &between));
        }
    }

    #[test]
    fn there_is_no_proof_of_what_there_is_not() {
        let all = entries(5);
        let frontier = grown(&all);
        assert_eq!(inclusion(5, 5, &mut nodes(&all, &frontier)), Ok(None));
        assert_eq!(consistency(6, 5, &mut nodes(&all, &frontier)), Ok(None));
        assert_eq!(consistency(0, 5, &mut nodes(&all, &frontier)), Ok(None));
        assert_eq!(root_from_inclusion([0; 32], 5, 5, &[]), None);
        assert!(!is_consistent(6, &[0; 32], 5, &[0; 32], &[]));
    }
}
