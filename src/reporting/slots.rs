//! What is counted of one region after the other, each by the same few hundred or
//! thousand numbers: a flat table, since each page of a region tells of many of them, of
//! which those are handed over that were met.

/// By number; what is at its default was not met.
pub struct Slots<T> {
    all: Vec<T>,
    met: Vec<usize>,
}

impl<T: Default + Clone + PartialEq> Slots<T> {
    pub fn new(len: usize) -> Self {
        Self { all: vec![T::default(); len], met: Vec::new() }
    }

    /// What is counted by a number, to be changed.
    pub fn at(&mut self, at: usize) -> &mut T {
        let slot = &mut self.all[at];
        if *slot == T::default() {
            self.met.push(at);
        }
        slot
    }

    /// All of them count, met or not.
    pub fn meet_all(&mut self) {
        self.met = (0..self.all.len()).collect();
    }

    /// Hands over those that were met, in order, after which nothing is counted.
    pub fn take(&mut self) -> impl Iterator<Item = (usize, T)> {
        self.met.sort_unstable();
        self.met.dedup();
        let all = &mut self.all;
        self.met.drain(..).map(|at| (at, std::mem::take(&mut all[at])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_met_is_handed_over_once_and_in_order() {
        let mut slots = Slots::<u32>::new(5);
        *slots.at(4) += 2;
        *slots.at(1) += 7;
        *slots.at(4) += 1;
        // Left as it was.
        slots.at(3);
        slots.at(3);
        assert_eq!(slots.take().collect::<Vec<_>>(), [(1, 7), (3, 0), (4, 3)]);
        assert_eq!(slots.take().count(), 0);
        slots.meet_all();
        assert_eq!(slots.take().map(|(at, _)| at).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }
}
