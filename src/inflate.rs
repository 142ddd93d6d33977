//! Compressed bytes to plain ones, counted while they are inflated: a bomb is left
//! at the limit, not measured after it went off.

use std::io::Read;

/// zstd windows beyond 8 MiB are refused (RFC 8878 §3.1.1.1.2 asks decoders for 8).
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why bytes were not inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// No coding of this name is known.
    Unknown,
    /// They are not what they are said to be.
    Broken,
    /// There is more in them than allowed.
    TooLarge,
}

/// Whether this content coding (RFC 9110 §8.4.1) is known.
pub fn known(coding: &str) -> bool {
    matches!(coding, "gzip" | "x-gzip" | "zstd" | "br")
}

/// Inflates at most `most` bytes.
pub fn inflate(coding: &str, bytes: &[u8], most: usize) -> Result<Vec<u8>, InflateError> {
    let broken = |_| InflateError::Broken;
    let mut reader: Box<dyn Read + '_> = match coding {
        "gzip" | "x-gzip" => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        "br" => Box::new(brotli_decompressor::Decompressor::new(bytes, 8192)),
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::new(bytes).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
            Box::new(decoder)
        }
        _ => return Err(InflateError::Unknown),
    };
    let mut out = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    reader.by_ref().take(limit).read_to_end(&mut out).map_err(broken)?;
    if out.len() > most { Err(InflateError::TooLarge) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_left_at_the_limit_and_a_cut_body_is_broken() {
        let bomb = gzip(&vec![0; 10 << 20]);
        assert_eq!(inflate("gzip", &bomb, 1 << 20), Err(InflateError::TooLarge));
        assert_eq!(inflate("gzip", &bomb[..bomb.len() - 4], 20 << 20), Err(InflateError::Broken));
        assert_eq!(inflate("gzip", &gzip(b"whole"), 5).unwrap(), b"whole");
        assert_eq!(inflate("deflate", b"", 5), Err(InflateError::Unknown));
        assert_eq!(inflate("zstd", &zstd::encode_all(&b"whole"[..], 1).unwrap(), 5).unwrap(), b"whole");
    }
}
