//! Ands bit columns line by line: AVX-512, AVX2 or plain words, chosen at run time,
//! all with the same answer.
//!
//! Promises: nothing else in the gateway's routing is unsafe. The words are written
//! by another thread while they are read; the vector loads are assembly, each 64
//! bits of which the processor reads as a whole (Intel SDM vol. 3A §9.1.1: an
//! aligned quadword is atomic), which is what a relaxed load promises.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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

/// 16 workers of a lane, as [`Sieve`] reads them: a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Sixteen(pub [AtomicU32; 16]);

/// What most who do not suit fail, asked of sixteens at once: a bit in common with
/// `any`; within `upper` at most `most`; within `lower` at least `least`; none of
/// `none`; everything of `all`. All are masks and masked values of one 32-bit word.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sieve {
    pub any: u32,
    pub upper: u32,
    pub most: u32,
    pub lower: u32,
    pub least: u32,
    pub none: u32,
    pub all: u32,
}

impl Sieve {
    fn passes(&self, word: u32) -> bool {
        word & self.any != 0
            && word & self.upper <= self.most
            && word & self.lower >= self.least
            && word & self.none == 0
            && word & self.all == self.all
    }
}

/// Groups of sixteen that [`sift`] looks at together.
pub const GROUPS: usize = 8;

/// For each of at most [`GROUPS`] groups, one bit for each of its sixteen that pass.
#[inline]
pub fn sift(path: Path, groups: &[Sixteen], sieve: &Sieve, out: &mut [u16; GROUPS]) {
    debug_assert!(groups.len() <= GROUPS);
    match path {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Path::available` saw the feature on this processor.
        Path::Avx512 => unsafe { x86::sift_avx512(groups, sieve, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Path::Avx2 => unsafe { x86::sift_avx2(groups, sieve, out) },
        _ => {
            for (out, words) in out.iter_mut().zip(groups) {
                *out = (0u16..).zip(&words.0).fold(0, |out, (at, word)| out | u16::from(sieve.passes(word.load(Ordering::Relaxed))) << at);
            }
        }
    }
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
    use super::{BLOCK, GROUPS, Line, Sieve, Sixteen};
    use std::arch::asm;
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_and_si256, _mm256_andnot_si256, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_cmpgt_epi32,
        _mm256_movemask_ps, _mm256_or_si256, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_storeu_si256,
        _mm256_testz_si256, _mm512_and_si512, _mm512_cmpeq_epi32_mask, _mm512_cmpge_epu32_mask, _mm512_cmple_epu32_mask, _mm512_or_si512,
        _mm512_set1_epi32, _mm512_set1_epi64, _mm512_storeu_si512, _mm512_test_epi32_mask, _mm512_test_epi64_mask, _mm512_testn_epi32_mask,
    };

    #[target_feature(enable = "avx512f")]
    pub unsafe fn sift_avx512(groups: &[Sixteen], s: &Sieve, out: &mut [u16; GROUPS]) {
        let all = |mask: u32| _mm512_set1_epi32(mask.cast_signed());
        let (any, none, every) = (all(s.any), all(s.none), all(s.all));
        let (upper, most, lower, least) = (all(s.upper), all(s.most), all(s.lower), all(s.least));
        for (out, words) in out.iter_mut().zip(groups) {
            let loaded: __m512i;
            // SAFETY: 64 aligned bytes.
            unsafe {
                asm!("vmovdqa64 {0}, zmmword ptr [{1}]", out(zmm_reg) loaded, in(reg) words, options(nostack, readonly, preserves_flags))
            };
            *out = _mm512_test_epi32_mask(loaded, any)
                & _mm512_testn_epi32_mask(loaded, none)
                & _mm512_cmpeq_epi32_mask(_mm512_and_si512(loaded, every), every)
                & _mm512_cmple_epu32_mask(_mm512_and_si512(loaded, upper), most)
                & _mm512_cmpge_epu32_mask(_mm512_and_si512(loaded, lower), least);
        }
    }

    #[target_feature(enable = "avx2")]
    pub unsafe fn sift_avx2(groups: &[Sixteen], s: &Sieve, out: &mut [u16; GROUPS]) {
        let all = |mask: u32| _mm256_set1_epi32(mask.cast_signed());
        let (zero, ones) = (_mm256_setzero_si256(), all(u32::MAX));
        let (any, none, every) = (all(s.any), all(s.none), all(s.all));
        let (upper, most, lower, least) = (all(s.upper), all(s.most), all(s.lower), all(s.least));
        // The fields compared lie below the sign bit, so signed compares serve.
        let eight = |v: __m256i| {
            let none_in_common = _mm256_cmpeq_epi32(_mm256_and_si256(v, any), zero);
            let forbidden = _mm256_andnot_si256(_mm256_cmpeq_epi32(_mm256_and_si256(v, none), zero), ones);
            let above = _mm256_cmpgt_epi32(_mm256_and_si256(v, upper), most);
            let below = _mm256_cmpgt_epi32(least, _mm256_and_si256(v, lower));
            let fails = _mm256_or_si256(_mm256_or_si256(none_in_common, forbidden), _mm256_or_si256(above, below));
            let passes = _mm256_andnot_si256(fails, _mm256_cmpeq_epi32(_mm256_and_si256(v, every), every));
            _mm256_movemask_ps(_mm256_castsi256_ps(passes)) as u16
        };
        for (out, words) in out.iter_mut().zip(groups) {
            let (first, second): (__m256i, __m256i);
            // SAFETY: 64 aligned bytes.
            unsafe {
                asm!("vmovdqa {0}, ymmword ptr [{2}]", "vmovdqa {1}, ymmword ptr [{2} + 32]", out(ymm_reg) first, out(ymm_reg) second,
                    in(reg) words, options(nostack, readonly, preserves_flags));
            }
            *out = eight(first) | eight(second) << 8;
        }
    }

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
        fn every_path_lets_the_same_through(seed: u64, any in 0u32..1 << 16, most in 0u32..16, least in 0u32..16, none in 0u32..8, all in 0u32..4) {
            let word = |group: usize, at: usize| AtomicU32::new((mix(seed ^ (group * 16 + at) as u64) >> 36) as u32);
            let groups: [Sixteen; 5] = std::array::from_fn(|group| Sixteen(std::array::from_fn(|at| word(group, at))));
            let sieve = Sieve { any, upper: 15 << 16, most: most << 16, lower: 15 << 20, least: least << 20, none: none << 24, all: all << 25 };
            let passes = |group: &Sixteen| (0..16).filter(|at| sieve.passes(group.0[*at].load(Ordering::Relaxed))).fold(0, |out, at| out | 1 << at);
            let mut expected = [u16::MAX; GROUPS];
            expected.iter_mut().zip(&groups).for_each(|(out, group)| *out = passes(group));
            for path in Path::available() {
                let mut out = [u16::MAX; GROUPS];
                sift(path, &groups, &sieve, &mut out);
                prop_assert_eq!(out, expected, "{:?}", path);
            }
        }

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
