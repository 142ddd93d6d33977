//! Work on a second core.

use std::thread::ScopedJoinHandle;

/// Does the one here and the other on a thread beside it.
pub fn both<A, B: Send>(here: impl FnOnce() -> A, beside: impl FnOnce() -> B + Send) -> (A, B) {
    std::thread::scope(|scope| {
        let beside = scope.spawn(beside);
        (here(), joined(beside))
    })
}

/// What a thread came to; where it panicked, so does this.
pub fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_beside_is_one_here() {
        assert_eq!(both(|| 1, || 2), (1, 2));
        let told = std::panic::catch_unwind(|| both(|| 1, || -> u32 { panic!("beside") })).unwrap_err();
        assert_eq!(told.downcast_ref::<&str>(), Some(&"beside"));
    }
}
