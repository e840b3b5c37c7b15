//! Who calls: bearer tokens, client certificates' names, and impersonation.
//!
//! A ServiceAccount's token is a JWT with a real server's claims, and so is refused for a real server's reasons:
//! it has expired, it is for another audience, its ServiceAccount is gone or is another one of the same name. It is
//! signed with a key of this cluster alone, so nobody else can check it.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::rbac::{Resource, Roles, Target, authorize, forbidden, list, quoted, text};
use crate::{Failure, GroupResource, Identity, Store};

/// Who issues the tokens of ServiceAccounts, and whom a token is for if nobody says.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

const JWT_HEADER: &str = r#"{"alg":"HS256","kid":"sim-kube"}"#;
const INVALID: &str = "invalid bearer token";

/// What a cluster believes.
#[derive(Debug)]
pub struct Authenticator {
    key: hmac::Key,
    tokens: BTreeMap<String, Identity>,
}

/// Somebody whose token was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Who it is.
    pub identity: Identity,
    /// For which of the audiences that were asked about the token is.
    pub audiences: Vec<String>,
}

/// What a token for a ServiceAccount is to say.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// The ServiceAccount, as it is stored.
    pub account: &'a Value,
    /// Whom the token is for.
    pub audiences: &'a [String],
    /// The object that the token is bound to: its lower-case kind and the object.
    pub bound: Option<(&'a str, &'a Value)>,
    /// From when.
    pub now: Timestamp,
    /// For how long, in seconds.
    pub seconds: i64,
    /// What tells this token from every other.
    pub id: &'a str,
}

impl Authenticator {
    /// One whose key follows from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes()), tokens: BTreeMap::new() }
    }

    /// Takes whoever shows `token` for `identity`, for ever.
    pub fn add_token(&mut self, token: impl Into<String>, identity: Identity) {
        self.tokens.insert(token.into(), identity);
    }

    /// A token for a ServiceAccount.
    #[must_use]
    pub fn issue(&self, claims: &Claims<'_>) -> String {
        let metadata = |object: &Value| {
            let of = |key: &str| object.pointer(&format!("/metadata/{key}")).cloned().unwrap_or_default();
            (of("namespace"), json!({"name": of("name"), "uid": of("uid")}))
        };
        let (namespace, account) = metadata(claims.account);
        let issued = claims.now.as_second();
        let mut kubernetes = json!({"namespace": namespace, "serviceaccount": account});
        if let (Some((kind, object)), Some(kubernetes)) = (claims.bound, kubernetes.as_object_mut()) {
            kubernetes.insert(kind.to_owned(), metadata(object).1);
        }
        let payload = json!({
            "aud": claims.audiences,
            "exp": issued.saturating_add(claims.seconds),
            "iat": issued,
            "iss": ISSUER,
            "jti": claims.id,
            "kubernetes.io": kubernetes,
            "nbf": issued,
            "sub": format!(
                "system:serviceaccount:{}:{}",
                namespace.as_str().unwrap_or_default(),
                text(&account, "name")
            ),
        });
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(JWT_HEADER), URL_SAFE_NO_PAD.encode(payload.to_string()));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whose token this is, if it is for one of `audiences`; the error is what a TokenReview says.
    pub fn token(
        &self,
        store: &Store,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Authenticated, String> {
        if let Some(identity) = self.tokens.get(token) {
            return Ok(Authenticated {
                identity: identity.clone(),
                audiences: for_these(&[ISSUER.to_owned()], audiences)?,
            });
        }
        let claims = self.signed_claims(token).ok_or(INVALID)?;
        let number = |key: &str| claims.get(key).and_then(Value::as_i64).unwrap_or_default();
        if now.as_second() > number("exp") {
            return Err(format!("[{INVALID}, service account token has expired]"));
        }
        let for_whom: Vec<String> =
            list(&claims, "aud").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let audiences = for_these(&for_whom, audiences)?;
        let kubernetes = claims.get("kubernetes.io").unwrap_or(&Value::Null);
        let namespace = text(kubernetes, "namespace");
        let account = kubernetes.get("serviceaccount").unwrap_or(&Value::Null);
        for (kind, plural) in [("serviceaccount", "serviceaccounts"), ("secret", "secrets"), ("pod", "pods")]
        {
            if let Some(bound) = kubernetes.get(kind) {
                still_there(store, plural, namespace, bound)?;
            }
        }
        let mut identity = Identity::service_account(namespace, text(account, "name"));
        text(account, "uid").clone_into(&mut identity.uid);
        let mut extra = |key: &str, value: &str| {
            identity.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()]);
        };
        extra("credential-id", &format!("JTI={}", text(&claims, "jti")));
        if let Some(pod) = kubernetes.get("pod") {
            extra("pod-name", text(pod, "name"));
            extra("pod-uid", text(pod, "uid"));
        }
        Ok(Authenticated { identity, audiences })
    }

    /// Who sends a request: whom its bearer token names, else whom its connection's certificate names, else
    /// nobody in particular.
    pub fn request(
        &self,
        store: &Store,
        headers: &HeaderMap,
        certificate: Option<&Identity>,
        now: Timestamp,
    ) -> Result<Identity, Failure> {
        if let Some(identity) = certificate {
            return Ok(identity.clone());
        }
        let Some(authorization) = headers.get(header::AUTHORIZATION) else {
            return Ok(Identity::anonymous());
        };
        let authorization = authorization.to_str().unwrap_or_default().trim();
        match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
                self.token(store, token.trim(), &[], now)
                    .map(|authenticated| authenticated.identity)
                    .map_err(|_| Failure::unauthorized())
            }
            // Another scheme is no credential here.
            _ => Ok(Identity::anonymous()),
        }
    }

    fn signed_claims(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (head, payload) = signed.split_once('.')?;
        hmac::verify(&self.key, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        (URL_SAFE_NO_PAD.decode(head).ok()? == JWT_HEADER.as_bytes()).then_some(())?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

/// Those of `asked` that a token is for; who asks about none asks about the server itself.
fn for_these(token: &[String], asked: &[String]) -> Result<Vec<String>, String> {
    let server = [ISSUER.to_owned()];
    let asked = if asked.is_empty() { &server } else { asked };
    let both: Vec<String> = asked.iter().filter(|audience| token.contains(audience)).cloned().collect();
    if both.is_empty() {
        let shown = |all: &[String]| all.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(" ");
        return Err(format!(
            "[{INVALID}, token audiences [{}] is invalid for the target audiences [{}]]",
            shown(token),
            shown(asked)
        ));
    }
    Ok(both)
}

fn still_there(store: &Store, plural: &str, namespace: &str, bound: &Value) -> Result<(), String> {
    let stored = store.get(&GroupResource::new("", plural), namespace, text(bound, "name"));
    match stored.and_then(|object| object.pointer("/metadata/uid")) {
        Some(uid) if Some(uid) == bound.get("uid") => Ok(()),
        _ => Err(format!("[{INVALID}, service account token has been invalidated]")),
    }
}

/// Whom the caller acts as by its `Impersonate-…` headers: itself, if there are none.
pub fn impersonated(roles: &dyn Roles, caller: Identity, headers: &HeaderMap) -> Result<Identity, Failure> {
    let values = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    let user = values("impersonate-user").into_iter().next().unwrap_or_default();
    let mut groups = values("impersonate-group");
    let uid = values("impersonate-uid").into_iter().next().unwrap_or_default();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let (Some(key), Ok(value)) = (name.as_str().strip_prefix("impersonate-extra-"), value.to_str()) {
            let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy().into_owned();
            extra.entry(key).or_default().push(value.to_owned());
        }
    }
    if user.is_empty() {
        if groups.is_empty() && uid.is_empty() && extra.is_empty() {
            return Ok(caller);
        }
        return Err(Failure::bad_request("requested impersonation without impersonating a user name"));
    }
    let may = |resource: Resource<'_>| {
        let target = Target::Resource(resource);
        let decision = authorize(roles, &caller, "impersonate", &target);
        if decision.allowed {
            Ok(())
        } else {
            Err(forbidden(&caller, "impersonate", &target, &decision.reason))
        }
    };
    let account = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    match account {
        Some((namespace, name)) => {
            may(Resource { resource: "serviceaccounts", namespace, name, ..Resource::default() })?;
        }
        None => may(Resource { resource: "users", name: &user, ..Resource::default() })?,
    }
    for group in &groups {
        may(Resource { resource: "groups", name: group, ..Resource::default() })?;
    }
    let authentication = Resource { group: "authentication.k8s.io", ..Resource::default() };
    for (key, values) in &extra {
        for value in values {
            may(Resource { resource: "userextras", subresource: key, name: value, ..authentication })?;
        }
    }
    if !uid.is_empty() {
        may(Resource { resource: "uids", name: &uid, ..authentication })?;
    }
    if let (Some((namespace, _)), true) = (account, groups.is_empty()) {
        groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    }
    let anonymous = Identity::anonymous();
    let everybodys =
        if user == anonymous.name { anonymous.groups } else { vec![Identity::AUTHENTICATED.to_owned()] };
    groups.extend(everybodys.into_iter().filter(|group| !groups.contains(group)).collect::<Vec<_>>());
    Ok(Identity { name: user, groups, uid, extra })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T08:02:03Z".parse().unwrap()
    }

    fn account(uid: &str) -> Value {
        json!({"metadata": {"name": "robot", "namespace": "default", "uid": uid}})
    }

    fn store(uid: &str) -> Store {
        let mut store = Store::new();
        store.put(now(), &GroupResource::new("", "serviceaccounts"), "default", "robot", account(uid));
        store
    }

    fn token(authenticator: &Authenticator, audiences: &[String]) -> String {
        let account = account("u");
        authenticator.issue(&Claims {
            account: &account,
            audiences,
            bound: None,
            now: now(),
            seconds: 600,
            id: "7",
        })
    }

    fn server() -> Vec<String> {
        vec![ISSUER.to_owned()]
    }

    #[test]
    fn a_token_is_its_service_account_as_the_real_server_describes_it() {
        let authenticator = Authenticator::new(1);
        let found = authenticator.token(&store("u"), &token(&authenticator, &server()), &[], now()).unwrap();
        assert_eq!(
            found.identity,
            Identity {
                uid: "u".to_owned(),
                extra: BTreeMap::from([(
                    "authentication.kubernetes.io/credential-id".to_owned(),
                    vec!["JTI=7".to_owned()]
                )]),
                ..Identity::service_account("default", "robot")
            }
        );
        assert_eq!(found.audiences, server());
    }

    #[test]
    fn a_token_ends_with_its_time_and_with_its_service_account() {
        let authenticator = Authenticator::new(1);
        let token = token(&authenticator, &server());
        let at = |seconds: i64| Timestamp::from_second(now().as_second() + seconds).unwrap();
        assert!(authenticator.token(&store("u"), &token, &[], at(600)).is_ok());
        assert!(authenticator.token(&store("u"), &token, &[], at(601)).unwrap_err().contains("expired"));
        assert!(
            authenticator.token(&store("another"), &token, &[], now()).unwrap_err().contains("invalidated")
        );
        assert!(authenticator.token(&Store::new(), &token, &[], now()).is_err());
    }

    #[test]
    fn a_token_is_for_its_audiences() {
        let authenticator = Authenticator::new(1);
        let asked = ["vault".to_owned(), "x".to_owned()];
        let vault = token(&authenticator, &["vault".to_owned()]);
        assert_eq!(authenticator.token(&store("u"), &vault, &asked, now()).unwrap().audiences, ["vault"]);
        assert!(authenticator.token(&store("u"), &vault, &[], now()).is_err());
        let own = token(&authenticator, &server());
        assert_eq!(
            authenticator.token(&store("u"), &own, &["vault".to_owned()], now()).unwrap_err(),
            "[invalid bearer token, token audiences [\"https://kubernetes.default.svc.cluster.local\"] is invalid \
             for the target audiences [\"vault\"]]"
        );
    }

    #[test]
    fn nobody_else_can_make_a_token() {
        let token = token(&Authenticator::new(2), &server());
        let authenticator = Authenticator::new(1);
        for token in [token.as_str(), "", "a.b.c", "abc", ".."] {
            assert_eq!(
                authenticator.token(&store("u"), token, &[], now()),
                Err(INVALID.to_owned()),
                "{token}"
            );
        }
    }

    #[test]
    fn a_request_is_its_certificates_or_its_tokens_or_nobodys() {
        let mut authenticator = Authenticator::new(1);
        authenticator.add_token("secret", Identity::user("ann", []));
        let request = |authorization: Option<&str>, certificate: Option<&Identity>| {
            let mut headers = HeaderMap::new();
            if let Some(authorization) = authorization {
                headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
            }
            authenticator.request(&Store::new(), &headers, certificate, now())
        };
        assert_eq!(request(None, None).unwrap(), Identity::anonymous());
        assert_eq!(request(Some("Bearer secret"), None).unwrap().name, "ann");
        assert_eq!(request(Some("bearer  secret"), None).unwrap().name, "ann");
        assert_eq!(request(Some("Bearer wrong"), None).unwrap_err().code, 401);
        assert_eq!(request(Some("Basic YTpi"), None).unwrap(), Identity::anonymous());
        assert_eq!(request(Some("Bearer wrong"), Some(&Identity::admin())).unwrap(), Identity::admin());
    }

    #[test]
    fn who_may_impersonate_is_somebody_else() {
        let mut headers = HeaderMap::new();
        headers.insert("impersonate-user", "system:serviceaccount:default:robot".parse().unwrap());
        headers.insert("impersonate-extra-scopes%2fa", "b".parse().unwrap());
        headers.insert("impersonate-uid", "7".parse().unwrap());
        let roles = Store::new();
        let robot = impersonated(&roles, Identity::admin(), &headers).unwrap();
        assert_eq!(
            (robot.uid.as_str(), robot.extra["scopes/a"].as_slice()),
            ("7", ["b".to_owned()].as_slice())
        );
        assert_eq!(
            robot.groups,
            ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
        );
        assert_eq!(
            impersonated(&roles, Identity::user("ann", []), &headers).unwrap_err().message,
            "serviceaccounts \"robot\" is forbidden: User \"ann\" cannot impersonate resource \"serviceaccounts\" in \
             API group \"\" in the namespace \"default\""
        );
        headers.remove("impersonate-user");
        assert_eq!(impersonated(&roles, Identity::admin(), &headers).unwrap_err().code, 400);
        assert_eq!(impersonated(&roles, Identity::admin(), &HeaderMap::new()).unwrap(), Identity::admin());
    }
}
