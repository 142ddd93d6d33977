//! How one writer changes several words that readers see whole, without locks: a
//! sequence lock (Boehm: Can seqlocks get along with programming language memory
//! models?, MSPC 2012, figure 6).
//!
//! Promises: what [`Sequence::read`] returns was read while no [`Sequence::write`]
//! was under way. The words themselves are atomics, read and written relaxed.

use std::sync::atomic::{AtomicU32, Ordering};

/// The counter and the fences of a sequence: those of the processor, or of a model
/// that tries every order in which they can be seen.
pub trait Counter: Default {
    fn load(&self, order: Ordering) -> u32;
    fn store(&self, value: u32, order: Ordering);
    fn fence(order: Ordering);
    /// Lets others go on.
    fn wait();
}

impl Counter for AtomicU32 {
    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        AtomicU32::load(self, order)
    }

    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        AtomicU32::store(self, value, order);
    }

    #[inline]
    fn fence(order: Ordering) {
        std::sync::atomic::fence(order);
    }

    #[inline]
    fn wait() {
        std::hint::spin_loop();
    }
}

/// Odd while its words change.
#[derive(Debug, Default)]
pub struct Sequence<C: Counter>(C);

impl<C: Counter> Sequence<C> {
    /// Reads until nothing changed meanwhile.
    #[inline]
    pub fn read<T>(&self, mut read: impl FnMut() -> T) -> T {
        loop {
            let before = self.0.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let out = read();
                C::fence(Ordering::Acquire);
                if self.0.load(Ordering::Relaxed) == before {
                    return out;
                }
            }
            C::wait();
        }
    }

    /// Changes words. Only the one writer calls this.
    #[inline]
    pub fn write(&self, write: impl FnOnce()) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(1), Ordering::Relaxed);
        C::fence(Ordering::Release);
        write();
        self.0.store(before.wrapping_add(2), Ordering::Release);
    }
}

/// The orders in which two threads can run and see each other's words, by loom: all
/// in which each is interrupted at most three times.
#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU32 as Modelled;

    impl Counter for Modelled {
        fn load(&self, order: Ordering) -> u32 {
            Modelled::load(self, order)
        }

        fn store(&self, value: u32, order: Ordering) {
            Modelled::store(self, value, order);
        }

        fn fence(order: Ordering) {
            loom::sync::atomic::fence(order);
        }

        fn wait() {
            loom::thread::yield_now();
        }
    }

    /// A position of two words, a bit that says it is filled, and a sequence.
    #[derive(Default)]
    struct Position {
        sequence: Sequence<Modelled>,
        words: [Modelled; 2],
        present: Modelled,
    }

    impl Position {
        fn put(&self, value: u32) {
            self.words.iter().for_each(|word| word.store(value, Ordering::Relaxed));
        }

        fn seen(&self) -> [u32; 2] {
            [0, 1].map(|at| self.words[at].load(Ordering::Relaxed))
        }
    }

    fn model(run: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(run);
    }

    #[test]
    fn a_reader_sees_no_half_of_a_change_in_any_order() {
        model(|| {
            let position = Arc::new(Position::default());
            let writer = position.clone();
            let writing = loom::thread::spawn(move || {
                writer.sequence.write(|| writer.put(1));
                writer.sequence.write(|| writer.put(2));
            });
            let seen = position.sequence.read(|| position.seen());
            assert!(seen.iter().all(|word| *word == seen[0]), "{seen:?}");
            writing.join().unwrap();
        });
    }

    #[test]
    fn who_is_seen_is_filled_in_any_order() {
        model(|| {
            let position = Arc::new(Position::default());
            let writer = position.clone();
            let writing = loom::thread::spawn(move || {
                writer.put(7);
                loom::sync::atomic::fence(Ordering::Release);
                writer.present.store(1, Ordering::Relaxed);
            });
            let present = position.present.load(Ordering::Relaxed);
            loom::sync::atomic::fence(Ordering::Acquire);
            assert!(present == 0 || position.seen() == [7; 2]);
            writing.join().unwrap();
        });
    }

    #[test]
    #[should_panic(expected = "half")]
    fn the_model_finds_the_half_of_a_change_that_no_sequence_guards() {
        model(|| {
            let position = Arc::new(Position::default());
            let writer = position.clone();
            let writing = loom::thread::spawn(move || writer.put(1));
            let seen = position.seen();
            assert!(seen.iter().all(|word| *word == seen[0]), "half of a change: {seen:?}");
            writing.join().unwrap();
        });
    }
}
