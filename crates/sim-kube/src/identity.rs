//! Who calls.

use std::collections::BTreeMap;

/// A caller, as authentication made it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user name.
    pub name: String,
    /// The groups that the user is in.
    pub groups: Vec<String>,
    /// The user's uid, or nothing.
    pub uid: String,
    /// What else the authenticator knows.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// The group that no authorizer is asked about.
    pub const MASTERS: &str = "system:masters";
    /// The group of everybody who said who they are.
    pub const AUTHENTICATED: &str = "system:authenticated";

    /// A cluster administrator, in `system:masters`.
    #[must_use]
    pub fn admin() -> Self {
        Self::user("kubernetes-admin", [Self::MASTERS])
    }

    /// A user in `groups`, and in `system:authenticated` as everybody is.
    #[must_use]
    pub fn user<'a>(name: impl Into<String>, groups: impl IntoIterator<Item = &'a str>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().map(str::to_owned).collect();
        groups.push(Self::AUTHENTICATED.to_owned());
        Self { name: name.into(), groups, ..Self::default() }
    }

    /// A service account.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> Self {
        let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        Self::user(format!("system:serviceaccount:{namespace}:{name}"), groups.iter().map(String::as_str))
    }

    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..Self::default()
        }
    }

    /// Whether the caller is in `group`.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}
