//! What a token allows: `certificate:manage,revoke;configuration`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Scopes and their privilege restrictions, as the product's documents list them.
const KNOWN: [&str; 10] = [
    "agent",
    "certificate",
    "codesign",
    "codesignclient",
    "configuration",
    "restricted",
    "security",
    "ssh",
    "statistics",
    "any",
];
const PRIVILEGES: [&str; 6] = ["approve", "delete", "discover", "manage", "revoke", "read"];

/// Each scope with its restrictions. A scope alone lets its holder read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Scope(BTreeMap<String, BTreeSet<String>>);

impl Scope {
    /// Everything there is.
    pub(crate) fn all() -> Self {
        let privileges: BTreeSet<String> = PRIVILEGES.iter().map(|name| (*name).to_owned()).collect();
        Self(KNOWN.iter().map(|scope| ((*scope).to_owned(), privileges.clone())).collect())
    }

    /// Reads one; nothing if a part is unknown, or if there is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut scopes = BTreeMap::<String, BTreeSet<String>>::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (scope, privileges) = part.split_once(':').unwrap_or((part, ""));
            let scope = scope.trim().to_ascii_lowercase();
            if !KNOWN.contains(&scope.as_str()) {
                return None;
            }
            let own = scopes.entry(scope).or_default();
            for privilege in privileges.split(',').map(str::trim).filter(|privilege| !privilege.is_empty()) {
                let privilege = privilege.to_ascii_lowercase();
                if !PRIVILEGES.contains(&privilege.as_str()) {
                    return None;
                }
                own.insert(privilege);
            }
        }
        (!scopes.is_empty()).then_some(Self(scopes))
    }

    /// Whether it allows what this one scope asks for, such as `certificate:manage` or `configuration`.
    pub(crate) fn allows(&self, needed: &str) -> bool {
        let (scope, privilege) = needed.split_once(':').unwrap_or((needed, ""));
        self.0.get(scope).is_some_and(|own| privilege.is_empty() || own.contains(privilege))
    }

    /// Whether the other allows all of it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|(scope, own)| other.0.get(scope).is_some_and(|all| own.is_subset(all)))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|(scope, privileges)| {
            let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
            if privileges.is_empty() { scope.clone() } else { format!("{scope}:{}", privileges.join(",")) }
        });
        f.write_str(&parts.collect::<Vec<_>>().join(";"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_scope_allows_what_it_says_and_no_more() {
        let scope = Scope::parse("Configuration; certificate:revoke,manage").unwrap();
        assert_eq!(scope.to_string(), "certificate:manage,revoke;configuration");
        assert!(
            scope.allows("certificate")
                && scope.allows("certificate:revoke")
                && scope.allows("configuration")
        );
        assert!(
            !scope.allows("certificate:delete")
                && !scope.allows("configuration:manage")
                && !scope.allows("ssh")
        );
        assert!(scope.is_within(&Scope::all()) && !Scope::all().is_within(&scope));
        assert_eq!([Scope::parse(""), Scope::parse("mail"), Scope::parse("ssh:fly")], [None, None, None]);
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again_as_the_same(text in "((certificate|ssh|.{0,9})(:(manage|revoke|.{0,4})(,|;)?)?;?){0,4}") {
            if let Some(scope) = Scope::parse(&text) {
                prop_assert_eq!(Scope::parse(&scope.to_string()), Some(scope.clone()));
                prop_assert!(scope.is_within(&scope) && scope.is_within(&Scope::all()));
            }
        }
    }
}
