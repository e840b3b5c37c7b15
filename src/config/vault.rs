//! Vault's part of the configuration.

use std::fmt;

use super::url::PkiUrl;

/// Where Vault is, what signs there, and how to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultConfig {
    /// The server.
    pub url: PkiUrl,
    /// The signing path.
    pub path: VaultPath,
    /// `X-Vault-Namespace`.
    pub namespace: Option<String>,
    /// The login.
    pub auth: VaultAuth,
    /// Whether what the mount issued is looked for before an order is submitted a second time, and how far.
    pub lookup: Option<VaultLookup>,
}

/// How far a lookup goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultLookup {
    /// In a mount that keeps more certificates than this it gives up.
    pub max_certificates: usize,
}

impl Default for VaultLookup {
    /// Ten thousand are listed with their times in half a second by OpenBao 2.7.2, and read in five by eight calls at a
    /// time, which is what it takes where lists have no times.
    fn default() -> Self {
        Self { max_certificates: 10_000 }
    }
}

/// A login to Vault; the secret part comes from the Secret of `authSecretRef`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultAuth {
    /// The Secret holds the token.
    Token,
    /// The Secret holds the secret id.
    AppRole {
        /// The role's id.
        role_id: String,
        /// Where the method is mounted, such as `approle`.
        mount_path: String,
    },
}

impl VaultAuth {
    /// The Secret's key when `authSecretRef.key` is absent.
    #[must_use]
    pub const fn default_secret_key(&self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::AppRole { .. } => "secretId",
        }
    }
}

/// A path that signs, such as `pki_int/sign/web`, with no slash around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultPath {
    path: String,
    kind: SignKind,
    mount: String,
    issuer: Option<String>,
}

/// What a signing path does with the CSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignKind {
    /// `sign/<role>`: the role's rules decide.
    Sign,
    /// `sign-verbatim[/<role>]`: the CSR's own wishes are kept.
    SignVerbatim,
}

/// Why a text is no signing path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A character that no mount, issuer or role name has.
    #[error("may only hold letters, digits and . _ - / (and no empty or dot segments)")]
    Characters,
    /// It does not sign.
    #[error("must be <mount>/sign/<role> or <mount>/sign-verbatim[/<role>], such as pki_int/sign/web")]
    NotSigning,
    /// `v1/…`.
    #[error("must not begin with v1/: it is the path below the API's version")]
    Versioned,
}

impl VaultPath {
    /// Reads a signing path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let path = text.trim_matches('/');
        let segments: Vec<&str> = path.split('/').collect();
        if !segments.iter().all(|segment| is_name(segment)) {
            return Err(PathError::Characters);
        }
        if segments.first() == Some(&"v1") {
            return Err(PathError::Versioned);
        }
        let (kind, above) = match segments.as_slice() {
            [above @ .., "sign", _role] => (SignKind::Sign, above),
            [above @ .., "sign-verbatim", _] | [above @ .., "sign-verbatim"] => {
                (SignKind::SignVerbatim, above)
            }
            _ => return Err(PathError::NotSigning),
        };
        let (mount, issuer) = match above {
            [] => return Err(PathError::NotSigning),
            [mount @ .., "issuer", issuer] if !mount.is_empty() => (mount, Some((*issuer).to_owned())),
            mount => (mount, None),
        };
        Ok(Self { path: path.to_owned(), kind, mount: mount.join("/"), issuer })
    }

    /// Where the engine is mounted, without slashes around it.
    #[must_use]
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// The issuer that the path names: its name or id; `default` if it names none.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuer.as_deref().unwrap_or("default")
    }

    /// The path without slashes around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// What it does with the CSR.
    #[must_use]
    pub const fn kind(&self) -> SignKind {
        self.kind
    }
}

impl fmt::Display for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

/// Whether `segment` can be one segment of a path in Vault: no dots alone, nothing that needs escaping.
pub(super) fn is_name(segment: &str) -> bool {
    !segment.is_empty()
        && segment != "."
        && segment != ".."
        && segment.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_that_signs() {
        for (text, kind) in [
            ("pki/sign/web", SignKind::Sign),
            ("/corp/pki/sign/web/", SignKind::Sign),
            ("pki/sign-verbatim", SignKind::SignVerbatim),
            ("pki/sign-verbatim/web", SignKind::SignVerbatim),
            ("pki/issuer/default/sign/web", SignKind::Sign),
        ] {
            assert_eq!(VaultPath::parse(text).unwrap().kind(), kind, "{text}");
        }
    }

    #[test]
    fn a_path_tells_its_mount_and_its_issuer() {
        for (text, mount, issuer) in [
            ("pki/sign/web", "pki", "default"),
            ("/corp/pki/sign/web/", "corp/pki", "default"),
            ("pki/sign-verbatim", "pki", "default"),
            ("corp/pki/issuer/2026/sign-verbatim/web", "corp/pki", "2026"),
            ("pki/issuer/2026/sign-verbatim", "pki", "2026"),
            // A mount may be called so.
            ("issuer/pki/sign/web", "issuer/pki", "default"),
            ("sign/sign/web", "sign", "default"),
        ] {
            let path = VaultPath::parse(text).unwrap();
            assert_eq!((path.mount(), path.issuer()), (mount, issuer), "{text}");
        }
    }

    #[test]
    fn refuses_paths_that_do_not_sign_or_could_escape() {
        assert_eq!(VaultPath::parse("pki/issue/web"), Err(PathError::NotSigning));
        assert_eq!(VaultPath::parse("sign/web"), Err(PathError::NotSigning));
        assert_eq!(VaultPath::parse("v1/pki/sign/web"), Err(PathError::Versioned));
        for text in ["", "pki/../sys/sign/x", "pki/sign/a b", "pki//sign/x", "pki/sign/x?y"] {
            assert_eq!(VaultPath::parse(text), Err(PathError::Characters), "{text}");
        }
    }
}
