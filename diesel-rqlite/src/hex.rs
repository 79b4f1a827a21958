//! Bytes as hexadecimal digits, in upper case like those of SQLite's `hex()`.

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Appends the digits of bytes, two for each.
pub(crate) fn push(text: &mut Vec<u8>, bytes: &[u8]) {
    text.reserve(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Does the same as [`push`], for text.
pub(crate) fn push_str(text: &mut String, bytes: &[u8]) {
    text.reserve(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Returns the byte that two digits of either case stand for.
pub(crate) fn byte(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        push_str(&mut text, &all);
        assert!(text.starts_with("000102") && text.ends_with("FDFEFF"));
        let mut bytes = Vec::new();
        push(&mut bytes, &all);
        assert_eq!(bytes, text.as_bytes());
        for text in [text.to_lowercase(), text] {
            let pairs = text.as_bytes().chunks_exact(2);
            let read: Option<Vec<u8>> = pairs.map(|pair| byte(pair[0], pair[1])).collect();
            assert_eq!(read.as_ref(), Some(&all));
        }
        assert_eq!((byte(b'g', b'0'), byte(b'0', b'/')), (None, None));
    }
}
