//! Serial numbers, and other bytes, as products write them for people.

/// A big-endian number in decimal digits.
pub(crate) fn decimal(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 10).unwrap_or_default();
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or_default());
            carry /= 10;
        }
    }
    if digits.is_empty() {
        return "0".to_owned();
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

/// Hexadecimal with a colon after each byte but the last.
pub(crate) fn colons(hex: &str) -> String {
    let mut text = String::with_capacity(hex.len() * 3 / 2);
    for (index, digit) in hex.chars().enumerate() {
        if index > 0 && index % 2 == 0 {
            text.push(':');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_written_in_decimal() {
        assert_eq!(decimal(&[]), "0");
        assert_eq!(decimal(&[0, 1, 0]), "256");
        let largest = u128::MAX.to_be_bytes();
        assert_eq!(decimal(&largest), u128::MAX.to_string());
    }

    #[test]
    fn serials_have_colons_between_bytes() {
        assert_eq!(colons("0a1b2c"), "0a:1b:2c");
        assert_eq!(colons(""), "");
    }
}
