//! Credentials in memory.

use std::fmt;

/// A credential. Its `Debug` and its absence of `Display` keep it out of logs, events and messages.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

/// Bytes that are no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretTextError {
    /// Not UTF-8.
    #[error("is not text (UTF-8)")]
    NotText,
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// A line break or another control character within.
    #[error("has a line break or control character within")]
    ControlCharacter,
}

impl SecretText {
    /// Reads a Secret's value. One trailing line break, which editors and `kubectl --from-file` leave behind,
    /// is dropped with other white space around; anything of the kind within is an error, since it would break
    /// the HTTP header it is sent in.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretTextError> {
        let text = std::str::from_utf8(bytes).map_err(|_| SecretTextError::NotText)?.trim();
        if text.is_empty() {
            return Err(SecretTextError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(SecretTextError::ControlCharacter);
        }
        Ok(Self(text.to_owned()))
    }

    /// The credential itself, for the call that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// `text` with every occurrence of a credential struck out: a PKI, or a proxy before it, may send back what it
/// was sent. What is shorter than six characters is no secret, and might be any word.
pub(super) fn struck_out(credentials: &[SecretText], text: &str) -> String {
    let secrets = credentials.iter().map(SecretText::expose).filter(|secret| secret.len() >= 6);
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[credential]"))
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_white_space_around_and_refuses_it_within() {
        assert_eq!(SecretText::from_bytes(b" hvs.abc\r\n").unwrap().expose(), "hvs.abc");
        assert_eq!(SecretText::from_bytes(b"a\nb").unwrap_err(), SecretTextError::ControlCharacter);
        assert_eq!(SecretText::from_bytes(b" \n").unwrap_err(), SecretTextError::Empty);
        assert_eq!(SecretText::from_bytes(&[0xff]).unwrap_err(), SecretTextError::NotText);
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = SecretText::from_bytes(b"hvs.canary").unwrap();
        assert_eq!(format!("{secret:?}"), "SecretText(…)");
    }
}
