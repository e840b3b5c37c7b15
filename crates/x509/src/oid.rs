//! Object identifiers as the bytes they are.
//!
//! Any length and any arc size: UUID-based arcs (`2.25.…`, ITU-T X.667) have 128 bits, which the usual
//! fixed-size types refuse, and a request must not fail for an extension nobody here needs to understand.

use std::{borrow::Cow, fmt, str::FromStr};

use crate::text;

/// An OBJECT IDENTIFIER: the content octets of its DER encoding. Displays dotted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Cow<'static, [u8]>);

impl Oid {
    /// An OID from its content octets, for constants.
    #[must_use]
    pub const fn from_static(content: &'static [u8]) -> Self {
        Self(Cow::Borrowed(content))
    }

    pub(crate) fn from_content(content: &[u8]) -> Self {
        Self(Cow::Owned(content.to_vec()))
    }

    /// The content octets (without tag and length).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match dotted(&self.0) {
            Some(dotted) => f.write_str(&dotted),
            None => write!(f, "oid#{}", text::hex_short(&self.0)),
        }
    }
}

/// The text is not a dotted object identifier such as `1.2.840.113549.1.1.1`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a dotted object identifier")]
pub struct NotAnOid;

impl FromStr for Oid {
    type Err = NotAnOid;

    fn from_str(dotted: &str) -> Result<Self, NotAnOid> {
        let arcs =
            dotted.split('.').map(str::parse).collect::<Result<Vec<u128>, _>>().map_err(|_| NotAnOid)?;
        let [first, second, rest @ ..] = arcs.as_slice() else { return Err(NotAnOid) };
        if *first > 2 || (*first < 2 && *second >= 40) {
            return Err(NotAnOid);
        }
        let joined = second.checked_add(first * 40).ok_or(NotAnOid)?;
        let mut content = Vec::new();
        for arc in std::iter::once(&joined).chain(rest) {
            push_arc(&mut content, *arc);
        }
        Ok(Self(Cow::Owned(content)))
    }
}

fn push_arc(content: &mut Vec<u8>, arc: u128) {
    let groups = (128 - arc.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let bits = u8::try_from((arc >> (group * 7)) & 0x7f).unwrap_or(0);
        content.push(if group == 0 { bits } else { bits | 0x80 });
    }
}

/// `None` where an arc has more than 128 bits, an arc is cut short, or the OID would be absurdly long.
fn dotted(content: &[u8]) -> Option<String> {
    if content.is_empty() || content.len() > 128 {
        return None;
    }
    let mut text = String::new();
    let mut arc = 0u128;
    let mut complete = false;
    for byte in content {
        arc = arc.checked_mul(128)?.checked_add(u128::from(byte & 0x7f))?;
        complete = byte & 0x80 == 0;
        if !complete {
            continue;
        }
        if text.is_empty() {
            let first = (arc / 40).min(2);
            text = format!("{first}.{}", arc.checked_sub(first * 40)?);
        } else {
            text.push('.');
            text.push_str(&arc.to_string());
        }
        arc = 0;
    }
    complete.then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uuid_arcs_are_read_and_written() {
        let text = "2.25.329800735698586629295641978511506172918";
        assert_eq!(text.parse::<Oid>().unwrap().to_string(), text);
        assert_eq!("1.2.840.113549".parse::<Oid>().unwrap().as_bytes(), [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]);
    }

    #[test]
    fn what_cannot_be_dotted_is_shown_in_hex() {
        assert_eq!(Oid::from_content(&[0x2a, 0x86]).to_string(), "oid#2a86");
        assert_eq!(Oid::from_content(&[]).to_string(), "oid#");
    }

    proptest! {
        #[test]
        fn dotted_text_round_trips(first in 0u8..3, second in 0u8..40, rest in proptest::collection::vec(any::<u64>(), 0..8)) {
            let arcs: Vec<_> = rest.iter().map(u64::to_string).collect();
            let text = [vec![first.to_string(), second.to_string()], arcs].concat().join(".");
            prop_assert_eq!(text.parse::<Oid>().unwrap().to_string(), text);
        }
    }
}
