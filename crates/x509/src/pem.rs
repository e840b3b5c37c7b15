//! PEM (RFC 7468), read as tolerantly as it is found in the wild and written in one form.
//!
//! Read: text before, between and after blocks; CRLF, CR, or the whole block on one line; leading and trailing
//! spaces; base64 in lines of any length, with or without padding; RFC 1421 headers (`Proc-Type: …`).
//! Written: 64 columns, LF, a newline at the end.

use std::borrow::Cow;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Standard alphabet; padding and stray low bits are writers' habits, not information.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One block, its text not yet decoded: a block nobody asked for, such as a key, is never decoded at all.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    /// The words after BEGIN, such as `CERTIFICATE`.
    pub label: &'a str,
    body: &'a str,
}

impl Block<'_> {
    /// The bytes of the block.
    ///
    /// # Errors
    /// [`PemError::Base64`] when the text is not base64.
    pub fn decode(&self) -> Result<Vec<u8>, PemError> {
        // A header line holds a colon, which base64 never does; a blank line ends the headers.
        let body = if self.body.contains(':') {
            let lines = self.body.lines();
            Cow::Owned(
                lines.skip_while(|line| line.contains(':') || line.trim().is_empty()).collect::<String>(),
            )
        } else {
            Cow::Borrowed(self.body)
        };
        decode_base64(body.as_bytes()).ok_or_else(|| PemError::Base64 { label: shown(self.label) })
    }
}

/// Why text could not be read as PEM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// A block was begun and never ended, as when a copy was cut off.
    #[error("the PEM block {label:?} has no END line")]
    Unterminated {
        /// The block's label.
        label: String,
    },
    /// A BEGIN without a complete line.
    #[error("a PEM BEGIN line is incomplete")]
    BrokenBegin,
    /// A block's body is not base64.
    #[error("the PEM block {label:?} is not base64")]
    Base64 {
        /// The block's label.
        label: String,
    },
}

/// Whether the bytes hold any PEM at all.
#[must_use]
pub fn looks_like_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

/// The blocks of a text, in order. Bytes that are not UTF-8 may stand between blocks, not within.
pub fn blocks(text: &str) -> impl Iterator<Item = Result<Block<'_>, PemError>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let (_, after_begin) = text.split_once(BEGIN)?;
        Some(block(after_begin).map(|(block, after)| {
            rest = Some(after);
            block
        }))
    })
}

/// The labels of all BEGIN lines, broken blocks included.
pub(crate) fn labels(text: &str) -> impl Iterator<Item = &str> {
    text.split(BEGIN).skip(1).filter_map(|after| after.split_once(DASHES)).map(|(label, _)| label)
}

fn block(after_begin: &str) -> Result<(Block<'_>, &str), PemError> {
    let (label, after_label) = after_begin.split_once(DASHES).ok_or(PemError::BrokenBegin)?;
    if label.contains(['\n', '\r']) {
        return Err(PemError::BrokenBegin);
    }
    let unterminated = || PemError::Unterminated { label: shown(label) };
    let (body, after_end) = after_label.split_once(END).ok_or_else(unterminated)?;
    let after =
        after_end.strip_prefix(label).and_then(|rest| rest.strip_prefix(DASHES)).ok_or_else(unterminated)?;
    Ok((Block { label: label.trim(), body }, after))
}

/// Base64 with whitespace anywhere; `None` when it is something else.
pub(crate) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let compact: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    TOLERANT.decode(compact).ok()
}

fn shown(label: &str) -> String {
    crate::text::bounded(crate::text::printable(label), 64)
}

/// Writes one block.
#[must_use]
pub fn encode(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut pem = format!("{BEGIN}{label}{DASHES}\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(END);
    pem.push_str(label);
    pem.push_str(DASHES);
    pem.push('\n');
    pem
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Vec<(String, Vec<u8>)> {
        blocks(text)
            .map(|block| block.and_then(|block| Ok((block.label.to_owned(), block.decode()?))).unwrap())
            .collect()
    }

    #[test]
    fn the_forms_found_in_the_wild_are_read() {
        let expected = [("X".to_owned(), b"hello, world".to_vec())];
        for text in [
            "-----BEGIN X-----\naGVsbG8sIHdvcmxk\n-----END X-----\n",
            "-----BEGIN X-----\r\naGVsbG8s\r\nIHdvcmxk\r\n-----END X-----",
            "-----BEGIN X----- aGVsbG8sIHdvcmxk -----END X-----",
            "  subject=CN = a\n  -----BEGIN X-----  \n  aGVs\n\n  bG8sIHdvcmxk  \n  -----END X-----  \ntrailing",
            "-----BEGIN X-----\nProc-Type: 4,NONE\nComment: why\n\naGVsbG8sIHdvcmxk\n-----END X-----",
        ] {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }

    #[test]
    fn a_block_cut_off_is_an_error_that_names_it() {
        let error = blocks("-----BEGIN CERTIFICATE-----\nAAAA").next().unwrap().err().unwrap();
        assert_eq!(error.to_string(), "the PEM block \"CERTIFICATE\" has no END line");
        let error = blocks("-----BEGIN A-----\nAAAA\n-----END B-----").next().unwrap().err().unwrap();
        assert_eq!(error, PemError::Unterminated { label: "A".to_owned() });
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(first: Vec<u8>, second: Vec<u8>) {
            let text = encode("A", &first) + "comment\n" + &encode("B C", &second);
            prop_assert_eq!(decoded(&text), [("A".to_owned(), first), ("B C".to_owned(), second)]);
            prop_assert!(text.lines().all(|line| line.len() <= 64));
        }

        #[test]
        fn any_text_is_read_to_an_end(text in "(-----BEGIN |-----END |-----|X|\n|AAAA|:|\\PC){0,40}") {
            for block in blocks(&text).flatten() {
                let _ = block.decode();
            }
        }
    }
}
