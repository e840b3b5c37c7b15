//! The address of a PKI.

use std::fmt;

/// An `http` or `https` URL with a host, without credentials, query or fragment, and without a trailing slash.
#[derive(Clone, PartialEq, Eq)]
pub struct PkiUrl(reqwest::Url);

/// Why a text is no address of a PKI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL.
    #[error("is not a URL ({0}): write it with its scheme, such as https://pki.example.com:8200")]
    Malformed(String),
    /// Neither `http` nor `https`.
    #[error("must begin with https:// (or http:// in a test)")]
    Scheme,
    /// `user:password@`.
    #[error("must not hold a user name or password: put the credential into the Secret of authSecretRef")]
    Credentials,
    /// `?…` or `#…`.
    #[error("must not have a query or fragment")]
    Query,
}

impl PkiUrl {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let mut url =
            reqwest::Url::parse(text.trim()).map_err(|error| UrlError::Malformed(error.to_string()))?;
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
            return Err(UrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::Query);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The URL of `path` below this address. `path` has no leading slash and is already checked.
    #[must_use]
    pub fn join(&self, path: &str) -> reqwest::Url {
        let mut url = self.0.clone();
        let joined = format!("{}/{path}", self.0.path().trim_end_matches('/'));
        url.set_path(&joined);
        url
    }
}

impl fmt::Display for PkiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for PkiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_path_prefix_and_drops_the_slash() {
        let url = PkiUrl::parse("https://gw.example/vault/").unwrap();
        assert_eq!(url.to_string(), "https://gw.example/vault");
        assert_eq!(url.join("v1/pki/sign/web").as_str(), "https://gw.example/vault/v1/pki/sign/web");
    }

    #[test]
    fn refuses_what_is_no_address() {
        assert_eq!(PkiUrl::parse("ftp://x"), Err(UrlError::Scheme));
        assert_eq!(PkiUrl::parse("https://u:p@x"), Err(UrlError::Credentials));
        assert_eq!(PkiUrl::parse("https://x?a=b"), Err(UrlError::Query));
        assert!(matches!(PkiUrl::parse("vault.example"), Err(UrlError::Malformed(_))));
    }
}
