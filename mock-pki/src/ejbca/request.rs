//! Which resource a request is for, and what it says besides.

use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;

use crate::ejbca::{
    answer::{Answer, Refusal},
    fields::Fields,
    shape,
};

/// Where all resources are.
pub(crate) const BASE: &str = "/ejbca/ejbca-rest-api";

/// A resource, with what its path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    /// The version of the resource whose status is asked for.
    Status(&'static str),
    Enrol,
    CertificateRequest,
    /// The approval's id, still text.
    Finalize(String),
    Search,
    SearchV2,
    Expire,
    Revoke {
        issuer_dn: String,
        serial_number: String,
    },
    RevocationStatus {
        issuer_dn: String,
        serial_number: String,
    },
    ListCas,
    DownloadCa(String),
    LatestCrl(String),
    CreateCrl(String),
    AddEndEntity,
    SearchEndEntities,
    DeleteEndEntity(String),
    RevokeEndEntity(String),
    SetEndEntityStatus(String),
}

impl Resource {
    /// The resource of a path below [`BASE`]. Names are decoded after the path is split, because a DN may hold a slash.
    pub(crate) fn find(path: &str) -> Option<Self> {
        let segments: Vec<String> = path
            .strip_prefix('/')?
            .trim_end_matches('/')
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Some(match *segments.as_slice() {
            ["v1", "certificate" | "ca" | "ca_management" | "endentity", "status"] => Self::Status("1.0"),
            ["v2", "certificate", "status"] => Self::Status("2.0"),
            ["v1", "certificate", "pkcs10enroll"] => Self::Enrol,
            ["v1", "certificate", "certificaterequest"] => Self::CertificateRequest,
            ["v1", "certificate", "search"] => Self::Search,
            ["v2", "certificate", "search"] => Self::SearchV2,
            ["v1", "certificate", "expire"] => Self::Expire,
            ["v1", "certificate", id, "finalize"] => Self::Finalize(id.to_owned()),
            ["v1", "certificate", issuer_dn, serial_number, "revoke"] => {
                Self::Revoke { issuer_dn: issuer_dn.to_owned(), serial_number: serial_number.to_owned() }
            }
            ["v1", "certificate", issuer_dn, serial_number, "revocationstatus"] => {
                let (issuer_dn, serial_number) = (issuer_dn.to_owned(), serial_number.to_owned());
                Self::RevocationStatus { issuer_dn, serial_number }
            }
            ["v1", "ca"] => Self::ListCas,
            ["v1", "ca", dn, "certificate", "download"] => Self::DownloadCa(dn.to_owned()),
            ["v1", "ca", dn, "getLatestCrl"] => Self::LatestCrl(dn.to_owned()),
            ["v1", "ca", dn, "createcrl"] => Self::CreateCrl(dn.to_owned()),
            ["v1", "endentity"] => Self::AddEndEntity,
            ["v1", "endentity", "search"] => Self::SearchEndEntities,
            ["v1", "endentity", name] => Self::DeleteEndEntity(name.to_owned()),
            ["v1", "endentity", name, "revoke"] => Self::RevokeEndEntity(name.to_owned()),
            ["v1", "endentity", name, "setstatus"] => Self::SetEndEntityStatus(name.to_owned()),
            _ => return None,
        })
    }

    /// The one method it has.
    pub(crate) fn method(&self) -> &'static Method {
        match self {
            Self::Status(_)
            | Self::Expire
            | Self::RevocationStatus { .. }
            | Self::ListCas
            | Self::DownloadCa(_)
            | Self::LatestCrl(_) => &Method::GET,
            Self::Enrol
            | Self::CertificateRequest
            | Self::Finalize(_)
            | Self::Search
            | Self::SearchV2
            | Self::CreateCrl(_)
            | Self::AddEndEntity
            | Self::SearchEndEntities
            | Self::SetEndEntityStatus(_) => &Method::POST,
            Self::Revoke { .. } | Self::RevokeEndEntity(_) => &Method::PUT,
            Self::DeleteEndEntity(_) => &Method::DELETE,
        }
    }

    /// Whether it wants a JSON body.
    fn takes_json(&self) -> bool {
        matches!(
            self,
            Self::Enrol
                | Self::CertificateRequest
                | Self::Finalize(_)
                | Self::Search
                | Self::SearchV2
                | Self::AddEndEntity
                | Self::SearchEndEntities
                | Self::RevokeEndEntity(_)
                | Self::SetEndEntityStatus(_)
        )
    }

    /// Whether it can do nothing but make JSON.
    fn makes_json(&self) -> bool {
        !matches!(self, Self::DownloadCa(_))
    }
}

/// A request for a resource. Without `Debug`: passwords are in it.
pub(crate) struct Request {
    pub(crate) resource: Resource,
    /// The URL of [`BASE`], as the client sees it.
    pub(crate) base: String,
    query: Vec<(String, String)>,
    /// Empty where the resource takes no body.
    pub(crate) fields: Fields,
}

impl Request {
    /// Finds the resource and reads the body, as far as that goes before anybody asks who the client is.
    pub(crate) fn read(head: &Parts, body: &[u8]) -> Result<Self, Answer> {
        let origin = origin(head);
        let path = head.uri.path();
        let below = path.strip_prefix(BASE).ok_or_else(Answer::nothing_there)?;
        let resource = Resource::find(below).ok_or_else(|| {
            let message = format!("RESTEASY003210: Could not find resource for full path: {origin}{path}");
            Answer::error(StatusCode::NOT_FOUND, &message)
        })?;
        let is_head = head.method == Method::HEAD && *resource.method() == Method::GET;
        if head.method != *resource.method() && !is_head {
            return Err(Answer::method_not_allowed(head.method.as_str(), resource.method().as_str()));
        }
        if resource.makes_json() && !accepts_json(&head.headers) {
            return Err(Answer::error(
                StatusCode::NOT_ACCEPTABLE,
                "RESTEASY003635: No match for accept header",
            ));
        }
        let fields = if resource.takes_json() {
            if !is_json(&head.headers) {
                return Err(Answer::error(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "RESTEASY003065: Cannot consume content type",
                ));
            }
            let fields = Fields::read(body)?;
            shape::check(&resource, &fields)?;
            fields
        } else {
            Fields::default()
        };
        let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        let query = query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        Ok(Self { resource, base: format!("{origin}{BASE}"), query, fields })
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A number in the query, 0 if it is not there.
    pub(crate) fn number<T: std::str::FromStr + Default>(&self, name: &str) -> Result<T, Refusal> {
        let Some(value) = self.query(name) else { return Ok(T::default()) };
        value.parse().map_err(|_| unfit("QueryParam", name, value))
    }
}

/// What is said of a parameter of the wrong type: as if the resource were not there.
pub(crate) fn unfit(kind: &str, name: &str, value: &str) -> Refusal {
    let shown: String = value.chars().take(200).collect();
    Refusal::absent(format!(
        "RESTEASY003870: Unable to extract parameter from http request: jakarta.ws.rs.{kind}(\"{name}\") value is \
         '{shown}'"
    ))
}

/// The scheme and host that the client addressed.
fn origin(head: &Parts) -> String {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost:8443");
    format!("https://{host}")
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(header::ACCEPT).iter().peekable();
    if all.peek().is_none() {
        return true;
    }
    all.filter_map(|given| given.to_str().ok()).flat_map(|given| given.split(',')).any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(range.as_str(), "" | "*/*" | "application/*" | "application/json")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_in_a_path_may_hold_a_slash_when_it_is_escaped() {
        let found = Resource::find("/v1/certificate/CN=a%2Fb,O=c%20d/0AFF/revoke");
        let revoke =
            Resource::Revoke { issuer_dn: "CN=a/b,O=c d".to_owned(), serial_number: "0AFF".to_owned() };
        assert_eq!(found, Some(revoke));
    }

    #[test]
    fn only_resources_are_found() {
        assert_eq!(Resource::find("/v1/certificate/search"), Some(Resource::Search));
        assert_eq!(Resource::find("/v1/endentity/search"), Some(Resource::SearchEndEntities));
        assert_eq!(Resource::find("/v1/endentity/"), Some(Resource::AddEndEntity));
        for nowhere in ["", "/", "/v1", "/v3/certificate/search", "/v1/certificate", "/v1/ca/x/y/z/download"]
        {
            assert_eq!(Resource::find(nowhere), None, "{nowhere}");
        }
    }

    proptest! {
        #[test]
        fn no_path_is_too_odd_to_look_up(path in "(/(v1|ca|endentity|certificate|%..|[^/]{0,6})){0,6}") {
            let _ = Resource::find(&path);
        }
    }
}
