//! Foreign text in messages: short, printable, on one line.

use std::fmt::{self, Write as _};

/// Values longer than this are cut in messages. A DNS name has at most 253 characters, so names stay whole.
const VALUE_LIMIT: usize = 256;

/// Shows text that others wrote: control characters, other line ends and bidirectional characters escaped, cut at
/// [`VALUE_LIMIT`].
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        if shown.len() >= VALUE_LIMIT {
            shown.push('…');
            break;
        }
        if character.is_control() || is_line_end(character) || is_bidirectional_control(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Unicode's own line and paragraph separators, which are no control characters.
fn is_line_end(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
}

/// Bidirectional controls would let a name rearrange the message around it.
fn is_bidirectional_control(character: char) -> bool {
    matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Lower-case hexadecimal, whole.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Lower-case hexadecimal of the first 32 bytes.
pub(crate) fn hex_short(bytes: &[u8]) -> String {
    match bytes.split_at_checked(32) {
        Some((head, [_, ..])) => format!("{}…", hex(head)),
        _ => hex(bytes),
    }
}

/// The first `limit` items joined by commas, and how many were left out.
pub(crate) fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>, limit: usize) -> String {
    let mut shown = String::new();
    let mut left_out = 0usize;
    for (index, item) in items.into_iter().enumerate() {
        if index >= limit {
            left_out += 1;
            continue;
        }
        if index > 0 {
            shown.push_str(", ");
        }
        shown.push_str(&item.to_string());
    }
    if left_out > 0 {
        // Writing to a String cannot fail.
        let _ = write!(shown, " and {left_out} more");
    }
    shown
}

/// Cuts a message at `limit` bytes, on a character boundary.
pub(crate) fn bounded(mut message: String, limit: usize) -> String {
    if message.len() > limit {
        let mut end = limit;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}
