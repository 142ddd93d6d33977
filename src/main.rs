//! The `doorstep` command.

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, for which the crate has no name.
const PURGE_DELAY: mi_option_t = 15;
/// How long the allocator keeps what was given back, in milliseconds. A report of a nation
/// takes a hundred megabytes for a moment: given to the kernel once a second, as is usual,
/// they are cleared for every thirtieth report or so.
const KEPT: std::ffi::c_long = 20_000;

fn main() -> std::process::ExitCode {
    keep_memory();
    doorstep::cli::main()
}

/// Keeps memory for who asks next; `MIMALLOC_PURGE_DELAY` in the environment wins.
fn keep_memory() {
    // SAFETY: the C function takes any number of an option and any value, at any time, and
    // there is one thread. No crate has a safe call for it.
    unsafe { mi_option_set_default(PURGE_DELAY, KEPT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found before shows that the number stands for the option.
    #[test]
    fn the_allocator_keeps_memory_for_longer_than_by_itself() {
        // SAFETY: it reads a number.
        let kept = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(kept(), 1_000);
        keep_memory();
        assert_eq!(kept(), KEPT);
    }
}
