//! The token endpoint. EJBCA has none of its own: companies put Keycloak beside it, so this answers as Keycloak does.
//!
//! Tokens are JSON Web Tokens that hold their own expiry, so that none has to be remembered; the secret of the client is
//! the key that signs them.

use aws_lc_rs::hmac;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::{
    ejbca::answer::{Answer, Refusal},
    random,
};

/// Where OAuth tokens for the EJBCA face are given out, on its own listener: a path of the shape that Keycloak has.
pub const TOKEN_PATH: &str = "/realms/mock-pki/protocol/openid-connect/token";

/// The OAuth client that is registered; its secret is [`Config::root_token`](crate::server::Config::root_token).
pub const CLIENT_ID: &str = "mock-pki";

/// Keycloak's access token lifespan, seconds.
const LIFESPAN: i64 = 300;

#[derive(Serialize)]
struct Granted {
    access_token: String,
    expires_in: i64,
    refresh_expires_in: i64,
    token_type: &'static str,
    #[serde(rename = "not-before-policy")]
    not_before_policy: i64,
    scope: String,
}

#[derive(Serialize)]
struct Problem {
    error: &'static str,
    error_description: &'static str,
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    exp: i64,
    iat: i64,
    jti: String,
    iss: String,
    sub: String,
    azp: String,
    scope: String,
}

/// The key of tokens, from the client's secret.
pub(crate) fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

/// A request to the token endpoint.
pub(crate) fn token(secret: &str, head: &Parts, body: &[u8], now: Timestamp) -> Answer {
    if head.method != Method::POST {
        let problem = Problem { error: "HTTP 405 Method Not Allowed", error_description: "" };
        return Answer::json(StatusCode::METHOD_NOT_ALLOWED, &problem);
    }
    let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match field("grant_type") {
        Some("client_credentials") => {}
        Some(_) => {
            return problem(StatusCode::BAD_REQUEST, "unsupported_grant_type", "Unsupported grant_type");
        }
        None => {
            return problem(StatusCode::BAD_REQUEST, "invalid_request", "Missing form parameter: grant_type");
        }
    }
    let (id, given) = basic(&head.headers).unwrap_or_else(|| {
        (
            field("client_id").unwrap_or_default().to_owned(),
            field("client_secret").unwrap_or_default().to_owned(),
        )
    });
    if id != CLIENT_ID {
        let description = "Invalid client or Invalid client credentials";
        return problem(StatusCode::UNAUTHORIZED, "invalid_client", description);
    }
    if given != secret {
        let description = "Invalid client or Invalid client credentials";
        return problem(StatusCode::UNAUTHORIZED, "unauthorized_client", description);
    }
    let scope: String = field("scope").unwrap_or("profile email").chars().take(200).collect();
    let access_token = sign(&key(secret), &scope, now);
    let granted = Granted {
        access_token,
        expires_in: LIFESPAN,
        refresh_expires_in: 0,
        token_type: "Bearer",
        not_before_policy: 0,
        scope,
    };
    Answer::json(StatusCode::OK, &granted)
}

fn problem(status: StatusCode, error: &'static str, error_description: &'static str) -> Answer {
    Answer::json(status, &Problem { error, error_description })
}

/// The client's id and secret from `Authorization: Basic`, each percent-encoded (RFC 6749 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(given.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((plain(id), plain(secret)))
}

fn sign(key: &hmac::Key, scope: &str, now: Timestamp) -> String {
    let iat = now.as_second();
    let claims = Claims {
        exp: iat + LIFESPAN,
        iat,
        jti: random::uuid(),
        iss: "mock-pki".to_owned(),
        sub: format!("service-account-{CLIENT_ID}"),
        azp: CLIENT_ID.to_owned(),
        scope: scope.to_owned(),
    };
    let encode = |part: Result<Vec<u8>, serde_json::Error>| URL_SAFE_NO_PAD.encode(part.unwrap_or_default());
    let header = encode(serde_json::to_vec(&Header { alg: "HS256", typ: "JWT" }));
    let signed = format!("{header}.{}", encode(serde_json::to_vec(&claims)));
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Refuses what is no token of ours, or no longer one.
pub(crate) fn verify(key: &hmac::Key, token: &str, now: Timestamp) -> Result<(), Refusal> {
    let read = || {
        let (signed, signature) = token.rsplit_once('.')?;
        hmac::verify(key, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice::<Claims>(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    };
    let claims = read().ok_or_else(|| Refusal::denied("Authentication failed using OAuth Bearer Token"))?;
    if claims.exp <= now.as_second() {
        return Err(Refusal::denied(
            "Authentication failed using OAuth Bearer Token. JWT token has expired.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_good_until_it_expires_and_only_as_it_was_made() {
        let (now, key) = (Timestamp::UNIX_EPOCH, key("secret"));
        let token = sign(&key, "x", now);
        let after = |seconds| now + SignedDuration::from_secs(seconds);
        assert!(verify(&key, &token, after(LIFESPAN - 1)).is_ok());
        assert!(verify(&key, &token, after(LIFESPAN)).is_err());
        assert!(verify(&super::key("other"), &token, now).is_err());
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_token(at in 0usize..200, byte in "[A-Za-z0-9._-]", text in "\\PC*") {
            let (now, key) = (Timestamp::UNIX_EPOCH, key("secret"));
            let token = sign(&key, "x", now);
            let mut changed = token.clone();
            changed.replace_range(at..=at, &byte);
            // The last letter of the signature has bits that mean nothing.
            prop_assert!(changed == token || verify(&key, &changed, now).is_err());
            prop_assert!(verify(&key, &text, now).is_err());
        }
    }
}
