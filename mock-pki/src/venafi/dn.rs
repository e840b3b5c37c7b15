//! Distinguished names of the platform's objects: `\VED\Policy\Certificates\app.example.com`.
//!
//! Case does not count when two are compared, and is kept when one is shown.

use std::fmt;

/// The longest that is taken, bytes.
const MAX_LENGTH: usize = 1024;

/// The place of an object in the tree. Has at least one part, and the first is `VED`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dn(Vec<String>);

impl Dn {
    /// Reads one; nothing if it is none. Backslashes may be doubled, and one may stand at the end.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH || !text.starts_with('\\') {
            return None;
        }
        let parts: Vec<String> =
            text.split('\\').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let is_fit = parts.iter().all(|part| is_name(part));
        let is_rooted = parts.first().is_some_and(|part| part.eq_ignore_ascii_case("VED"));
        (is_fit && is_rooted).then_some(Self(parts))
    }

    /// The one below with this name; nothing if that is no name.
    pub(crate) fn child(&self, name: &str) -> Option<Self> {
        let fits = self.to_string().len() + name.len() < MAX_LENGTH;
        (fits && is_name(name)).then(|| Self(self.0.iter().cloned().chain([name.to_owned()]).collect()))
    }

    pub(crate) fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        (!above.is_empty()).then(|| Self(above.to_vec()))
    }

    /// The last part.
    pub(crate) fn name(&self) -> &str {
        self.0.last().map(String::as_str).unwrap_or_default()
    }

    /// By which equal ones are found.
    pub(crate) fn key(&self) -> String {
        self.to_string().to_lowercase()
    }

    /// From the root to this one.
    pub(crate) fn path(&self) -> impl Iterator<Item = Self> {
        (1..=self.0.len()).map(|length| Self(self.0.iter().take(length).cloned().collect()))
    }

    /// Whether it is that one or lies below it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let (own, other) = (self.key(), other.key());
        own.strip_prefix(&other).is_some_and(|rest| rest.is_empty() || rest.starts_with('\\'))
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| write!(f, "\\{part}"))
    }
}

fn is_name(part: &str) -> bool {
    !part.trim().is_empty() && !part.chars().any(|c| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy() -> Dn {
        Dn::parse("\\VED\\Policy").unwrap()
    }

    #[test]
    fn a_dn_is_read_with_doubled_backslashes_and_compared_without_case() {
        let dn = Dn::parse(r"\VED\\Policy\Some Folder\").unwrap();
        assert_eq!((dn.to_string().as_str(), dn.name()), (r"\VED\Policy\Some Folder", "Some Folder"));
        assert!(Dn::parse(r"\ved\policy\some folder\x").unwrap().is_within(&dn) && dn.is_within(&policy()));
        assert!(!Dn::parse(r"\VED\Policy\Some Folders").unwrap().is_within(&dn));
        for none in ["", "VED\\Policy", "\\", "\\Policy", "\\VED\\a\nb", "\\VED\\ \\x"] {
            assert_eq!(Dn::parse(none), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again_as_the_same(text in r"(\\VED)?[\\\PC]{0,60}", name in ".{0,20}") {
            if let Some(dn) = Dn::parse(&text) {
                prop_assert_eq!(Dn::parse(&dn.to_string()), Some(dn.clone()));
                prop_assert!(dn.is_within(&dn));
                if let Some(child) = dn.child(&name) {
                    prop_assert_eq!(child.parent(), Some(dn.clone()));
                    prop_assert!(child.is_within(&dn) && !dn.is_within(&child));
                }
            }
        }
    }
}
