//! Numbers in as few bytes as they need (LEB128), for what the store keeps many of.

/// Appends a number, seven bits to a byte, the lowest first.
pub fn write(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes the first number; none where there is no whole one.
#[inline]
pub fn read(bytes: &mut &[u8]) -> Option<u64> {
    // Most are of one byte.
    if let [byte @ ..0x80, rest @ ..] = *bytes {
        *bytes = rest;
        return Some(u64::from(*byte));
    }
    read_long(bytes)
}

/// Takes the first two numbers.
#[inline(always)]
pub fn read_two(bytes: &mut &[u8]) -> Option<(u64, u64)> {
    if let [a, b, rest @ ..] = *bytes
        && (a | b) < 0x80
    {
        let two = (u64::from(*a), u64::from(*b));
        *bytes = rest;
        return Some(two);
    }
    Some((read(bytes)?, read(bytes)?))
}

#[inline]
fn read_long(bytes: &mut &[u8]) -> Option<u64> {
    // Up to eight bytes at once, where so many are there.
    if let Some(word) = bytes.first_chunk() {
        let word = u64::from_le_bytes(*word);
        let ends = !word & 0x8080_8080_8080_8080;
        if ends != 0 {
            let length = ends.trailing_zeros() / 8 + 1;
            *bytes = &bytes[length as usize..];
            // The sevens of bits are pushed together, two by two.
            let n = word & (u64::MAX >> (64 - 8 * length)) & 0x7f7f_7f7f_7f7f_7f7f;
            let n = (n & 0x007f_007f_007f_007f) | (n & 0x7f00_7f00_7f00_7f00) >> 1;
            let n = (n & 0x0000_3fff_0000_3fff) | (n & 0x3fff_0000_3fff_0000) >> 2;
            return Some((n & 0x0fff_ffff) | (n & 0x0fff_ffff_0000_0000) >> 4);
        }
    }
    read_bytes(bytes)
}

fn read_bytes(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// A count with its sign in the lowest bit, so that those near 0 stay short.
pub fn signed(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

/// The count behind [`signed`].
pub fn unsigned(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_counts_come_back_and_halves_do_not() {
        let powers = (0..64).map(|bit| 1 << bit);
        for n in [0, 127, 300, u64::from(u32::MAX), 0x1234_5678_9abc_def0, u64::MAX].into_iter().chain(powers) {
            let mut bytes = Vec::new();
            write(&mut bytes, n);
            assert_eq!(read(&mut bytes.as_slice()), Some(n));
            // And where others follow.
            let more = [bytes.as_slice(), &[0xff; 9]].concat();
            let mut rest = more.as_slice();
            assert_eq!((read(&mut rest), rest.len()), (Some(n), 9));
            assert_eq!(read(&mut &bytes[..bytes.len() - 1]), None, "half of {n}");
        }
        for n in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            assert_eq!(unsigned(signed(n)), n);
        }
        assert_eq!(read(&mut [0xff; 11].as_slice()), None, "longer than a number can be");
    }
}
