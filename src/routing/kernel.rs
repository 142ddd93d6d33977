//! Ands bit columns line by line: AVX-512, AVX2 or plain words, chosen at run time,
//! all with the same answer.
//!
//! Promises: nothing else in the gateway's routing is unsafe. The words are written
//! by another thread while they are read; the vector loads are assembly, each 64
//! bits of which the processor reads as a whole (Intel SDM vol. 3A §9.1.1: an
//! aligned quadword is atomic), which is what a relaxed load promises.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

/// 512 positions of one column: a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Line(pub [AtomicU64; 8]);

/// How lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Avx512,
    Avx2,
    Words,
}

impl Path {
    /// Those that this processor has, the fastest first.
    pub fn available() -> Vec<Path> {
        let mut out = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                out.push(Path::Avx512);
            }
            if is_x86_feature_detected!("avx2") {
                out.push(Path::Avx2);
            }
        }
        out.push(Path::Words);
        out
    }

    /// The fastest of this processor.
    pub fn best() -> Path {
        static BEST: std::sync::OnceLock<Path> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| Path::available()[0])
    }
}

/// The and of these columns at `line` of each; `lines` holds the columns one after
/// the other, `stride` lines each. Stops early where nothing is left.
#[inline]
pub fn and(path: Path, lines: &[Line], stride: usize, line: usize, columns: &[u16]) -> [u64; 8] {
    debug_assert!(line < stride && columns.iter().all(|c| (usize::from(*c) + 1) * stride <= lines.len()));
    match path {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Path::available` saw the feature on this processor.
        Path::Avx512 => unsafe { x86::and_avx512(lines, stride, line, columns) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Path::Avx2 => unsafe { x86::and_avx2(lines, stride, line, columns) },
        _ => and_words(lines, stride, line, columns),
    }
}

/// Lines that [`and_block`] reads together.
pub const BLOCK: usize = 8;

/// [`and`] for [`BLOCK`] lines from `line` on: each column is read as one run of
/// 512 bytes.
#[inline]
pub fn and_block(path: Path, lines: &[Line], stride: usize, line: usize, columns: &[u16], out: &mut [[u64; 8]; BLOCK]) {
    debug_assert!(line + BLOCK <= stride && columns.iter().all(|c| (usize::from(*c) + 1) * stride <= lines.len()));
    match path {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Path::available` saw the feature on this processor.
        Path::Avx512 => unsafe { x86::and_block_avx512(lines, stride, line, columns, out) },
        _ => out.iter_mut().enumerate().for_each(|(at, out)| *out = and(path, lines, stride, line + at, columns)),
    }
}

fn and_words(lines: &[Line], stride: usize, line: usize, columns: &[u16]) -> [u64; 8] {
    let mut out = [u64::MAX; 8];
    for column in columns {
        let words = &lines[usize::from(*column) * stride + line].0;
        let mut any = 0;
        for (o, word) in out.iter_mut().zip(words) {
            *o &= word.load(Ordering::Relaxed);
            any |= *o;
        }
        if any == 0 {
            break;
        }
    }
    out
}

/// Asks for a cache line that will be read soon.
#[inline]
pub fn prefetch<T>(at: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint; it reads nothing, and the reference is valid.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(std::ptr::from_ref(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{BLOCK, Line};
    use std::arch::asm;
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_and_si256, _mm256_or_si256, _mm256_set1_epi64x, _mm256_storeu_si256, _mm256_testz_si256, _mm512_and_si512,
        _mm512_or_si512, _mm512_set1_epi64, _mm512_storeu_si512, _mm512_test_epi64_mask,
    };

    #[target_feature(enable = "avx512f")]
    pub unsafe fn and_avx512(lines: &[Line], stride: usize, line: usize, columns: &[u16]) -> [u64; 8] {
        let mut acc = _mm512_set1_epi64(-1);
        for column in columns {
            let at = &raw const lines[usize::from(*column) * stride + line];
            let loaded: __m512i;
            // SAFETY: 64 aligned bytes of a `Line` inside the slice.
            unsafe {
                asm!("vmovdqa64 {0}, zmmword ptr [{1}]", out(zmm_reg) loaded, in(reg) at, options(nostack, readonly, preserves_flags))
            };
            acc = _mm512_and_si512(acc, loaded);
            if _mm512_test_epi64_mask(acc, acc) == 0 {
                break;
            }
        }
        let mut out = [0; 8];
        // SAFETY: 64 bytes of an array of our own.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), acc) };
        out
    }

    #[target_feature(enable = "avx512f")]
    pub unsafe fn and_block_avx512(lines: &[Line], stride: usize, line: usize, columns: &[u16], out: &mut [[u64; 8]; BLOCK]) {
        let mut acc = [_mm512_set1_epi64(-1); BLOCK];
        for column in columns {
            let run = &lines[usize::from(*column) * stride + line..][..BLOCK];
            let mut any = _mm512_set1_epi64(0);
            for (acc, at) in acc.iter_mut().zip(run) {
                let loaded: __m512i;
                // SAFETY: 64 aligned bytes of a `Line`.
                unsafe {
                    asm!("vmovdqa64 {0}, zmmword ptr [{1}]", out(zmm_reg) loaded, in(reg) at, options(nostack, readonly, preserves_flags))
                };
                *acc = _mm512_and_si512(*acc, loaded);
                any = _mm512_or_si512(any, *acc);
            }
            if _mm512_test_epi64_mask(any, any) == 0 {
                break;
            }
        }
        for (out, acc) in out.iter_mut().zip(acc) {
            // SAFETY: 64 bytes of an array of the caller's.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), acc) };
        }
    }

    #[target_feature(enable = "avx2")]
    pub unsafe fn and_avx2(lines: &[Line], stride: usize, line: usize, columns: &[u16]) -> [u64; 8] {
        let (mut low, mut high) = (_mm256_set1_epi64x(-1), _mm256_set1_epi64x(-1));
        for column in columns {
            let at = &raw const lines[usize::from(*column) * stride + line];
            let (first, second): (__m256i, __m256i);
            // SAFETY: 64 aligned bytes of a `Line` inside the slice.
            unsafe {
                asm!("vmovdqa {0}, ymmword ptr [{2}]", "vmovdqa {1}, ymmword ptr [{2} + 32]", out(ymm_reg) first, out(ymm_reg) second,
                    in(reg) at, options(nostack, readonly, preserves_flags));
            }
            (low, high) = (_mm256_and_si256(low, first), _mm256_and_si256(high, second));
            let any = _mm256_or_si256(low, high);
            if _mm256_testz_si256(any, any) == 1 {
                break;
            }
        }
        let mut out = [0u64; 8];
        // SAFETY: two halves of an array of our own.
        unsafe {
            _mm256_storeu_si256(out.as_mut_ptr().cast(), low);
            _mm256_storeu_si256(out.as_mut_ptr().add(4).cast(), high);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ranking::mix;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_path_gives_the_same_lines(seed: u64, line in 0usize..16, columns in prop::collection::vec(0u16..6, 0..8), dense: bool) {
            let word = |at: u64| if dense { mix(seed ^ at) | mix(at) } else { mix(seed ^ at) & mix(at) & mix(!at) };
            let lines: Vec<Line> = (0..96u64).map(|l| Line(std::array::from_fn(|w| AtomicU64::new(word(l * 8 + w as u64))))).collect();
            let expected: [u64; 8] = std::array::from_fn(|w| {
                columns.iter().fold(u64::MAX, |acc, c| acc & lines[usize::from(*c) * 16 + line].0[w].load(Ordering::Relaxed))
            });
            for path in Path::available() {
                prop_assert_eq!(and(path, &lines, 16, line, &columns), expected, "{:?}", path);
                let mut block = [[0; 8]; BLOCK];
                and_block(path, &lines, 16, line / BLOCK * BLOCK, &columns, &mut block);
                prop_assert_eq!(block[line % BLOCK], expected, "{:?}", path);
            }
        }
    }
}
