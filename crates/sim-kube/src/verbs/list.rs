//! Reading objects, one or many, of now or of a revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Reply, Request};
use crate::cluster::Cluster;
use crate::selection::Selection;
use crate::{Cause, Failure, Params, events, object, shape};

const EXACT: &str = "Exact";
pub(crate) const NOT_OLDER_THAN: &str = "NotOlderThan";
/// The version of the tokens by which a list goes on.
const TOKEN_VERSION: &str = "meta.k8s.io/v1";

/// Where a list goes on: the revision that it shows, and the first path that it has not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    /// Nothing for a list that goes on with what is there now.
    revision: Option<u64>,
    start: String,
}

impl Token {
    fn read(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            Failure::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes =
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|error| wrong(&error.to_string()))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
        let version = object::text(&token, "/v");
        if version != TOKEN_VERSION {
            return Err(wrong(&format!("server does not recognize this encoded version {}", json!(version))));
        }
        let revision = token.get("rv").and_then(Value::as_i64).filter(|&revision| revision != 0);
        let revision = revision
            .ok_or_else(|| wrong("incorrect encoded start resourceVersion (version meta.k8s.io/v1)"))?;
        let start = object::text(&token, "/start").to_owned();
        if start.is_empty() {
            return Err(wrong("encoded start key empty (version meta.k8s.io/v1)"));
        }
        Ok(Self { revision: u64::try_from(revision).ok(), start })
    }

    fn text(&self) -> String {
        let revision = self.revision.map_or(json!(-1), |revision| json!(revision));
        URL_SAFE_NO_PAD.encode(json!({"v": TOKEN_VERSION, "rv": revision, "start": self.start}).to_string())
    }
}

impl Cluster {
    /// GET of one object.
    pub(crate) fn get(&self, request: &Request<'_>) -> Result<Reply, Failure> {
        let (kind, call) = (&request.kind, request.call);
        let mut revision = self.store.revision();
        if !call.params.resource_version.is_empty() {
            // Events are read past the cache, which has another word for it.
            let wrong = |why: String| {
                if kind.storage == events::resource() {
                    Failure::bad_request(format!("invalid resource version: {why}"))
                } else {
                    Failure::plain(why)
                }
            };
            let asked = parse_revision(&call.params.resource_version).map_err(wrong)?;
            // Any revision will do: a cache that lags shows what it has.
            revision = self.view(request.peer);
            if asked > revision {
                return Err(Failure::too_large_resource_version(asked, revision));
            }
        }
        let there = self.store.get(&kind.storage, &call.namespace, &call.name).cloned();
        let found = if revision < self.store.revision() {
            self.store.at(&kind.storage, &call.namespace, &call.name, revision)
        } else {
            there
        };
        match found {
            Some(stored) => Ok(Reply::ok(shape::from_stored(kind, &stored))),
            None => Err(Failure::not_found(&kind.resource(), &call.name)),
        }
    }

    /// GET of a collection.
    pub(crate) fn list(&self, request: &Request<'_>) -> Result<Reply, Failure> {
        let (kind, call) = (&request.kind, request.call);
        let params = &call.params;
        let selection = Selection::checked(kind, params, check_options)?;
        let token =
            if params.continue_token.is_empty() { None } else { Some(Token::read(&params.continue_token)?) };
        let (revision, start) = self.position(request, token.as_ref())?;
        let objects = self.at(request, revision);

        let prefix = if call.namespace.is_empty() { String::new() } else { format!("{}/", call.namespace) };
        // A cache that may answer with anything answers with all of it.
        let limit = if params.resource_version == "0" && token.is_none() { 0 } else { params.limit };
        let mut items = Vec::new();
        let mut next = None;
        let mut rest = 0_u64;
        for (path, stored) in objects.range(format!("{prefix}{start}")..) {
            if limit > 0 && items.len() == limit {
                if next.is_none() {
                    next = Some(path.strip_prefix(&prefix).unwrap_or(path).to_owned());
                }
                rest += 1;
                continue;
            }
            let object = shape::from_stored(kind, stored);
            if selection.matches(&object) {
                items.push(object);
            }
        }
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if let Some(start) = next {
            let revision = token.as_ref().map_or(Some(revision), |token| token.revision.or(Some(revision)));
            object::put(&mut metadata, "continue", Some(json!(Token { revision, start }.text())));
            if selection.is_everything() {
                object::put(&mut metadata, "remainingItemCount", Some(json!(rest)));
            }
        } else if kind.custom {
            object::put(&mut metadata, "continue", Some(json!("")));
        }
        Ok(Reply::ok(shape::list(kind, &metadata, items)))
    }

    /// The stored objects that a request for a collection is about, as they are now.
    pub(super) fn selected(&self, request: &Request<'_>) -> Result<Vec<Arc<Value>>, Failure> {
        let selection = Selection::read(&request.kind, &request.call.params)?;
        let objects = self.store.list(&request.kind.storage, &request.call.namespace);
        Ok(objects
            .filter(|(_, stored)| selection.matches(&shape::from_stored(&request.kind, stored)))
            .map(|(_, stored)| Arc::clone(stored))
            .collect())
    }

    /// The objects of a request's collection as they were at a revision.
    pub(crate) fn at(&self, request: &Request<'_>, revision: u64) -> BTreeMap<String, Arc<Value>> {
        self.store.list_at(&request.kind.storage, &request.call.namespace, revision)
    }

    /// The revision that a list shows, and the path that it begins at.
    fn position(&self, request: &Request<'_>, token: Option<&Token>) -> Result<(u64, String), Failure> {
        let params = &request.call.params;
        let current = self.store.revision();
        if let Some(token) = token {
            if !params.resource_version.is_empty() && params.resource_version != "0" {
                let why = "specifying resource version is not allowed when using continue";
                return Err(Failure::bad_request(why));
            }
            return match token.revision {
                Some(revision) if revision < self.store.compacted() => Err(gone(token)),
                Some(revision) => Ok((revision.min(current), token.start.clone())),
                None => Ok((current, token.start.clone())),
            };
        }
        let start = String::new();
        if params.resource_version.is_empty() {
            return Ok((current, start));
        }
        let asked = parse_revision(&params.resource_version)
            .map_err(|why| Failure::bad_request(format!("invalid resource version: {why}")))?;
        let view = self.view(request.peer);
        let exactly = params.resource_version_match == EXACT
            || (params.resource_version_match.is_empty() && params.limit > 0 && asked > 0);
        if asked > if exactly { current } else { view } {
            return Err(Failure::too_large_resource_version(asked, view));
        }
        if !exactly {
            return Ok((view, start));
        }
        if asked < self.store.compacted() {
            return Err(Failure::expired("The resourceVersion for the provided list is too old."));
        }
        Ok((asked, start))
    }
}

/// A revision as a client writes it, or why it is none.
pub(crate) fn parse_revision(text: &str) -> Result<u64, String> {
    let shown = json!(text);
    text.parse().map_err(|_| {
        format!("resourceVersion: Invalid value: {shown}: strconv.ParseUint: parsing {shown}: invalid syntax")
    })
}

fn check_options(params: &Params) -> Result<(), Failure> {
    let mut causes = Vec::new();
    let field = "resourceVersionMatch";
    let matching = params.resource_version_match.as_str();
    if !matching.is_empty() {
        if params.resource_version.is_empty() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.push(Cause::forbidden(field, why));
        }
        if !params.continue_token.is_empty() {
            causes
                .push(Cause::forbidden(field, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if !matches!(matching, EXACT | NOT_OLDER_THAN) {
            causes.push(Cause::not_supported(field, &json!(matching), &[EXACT, NOT_OLDER_THAN, ""]));
        }
        if matching == EXACT && params.resource_version == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(Cause::forbidden(field, why));
        }
    }
    if params.send_initial_events.is_some() {
        causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid("meta.k8s.io", "ListOptions", "", causes)) }
}

/// 410 for a list that took too long, with a token to go on with what is there now.
fn gone(token: &Token) -> Failure {
    let mut failure = Failure::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
         the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
         Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
         deleted between the time the first chunk was returned and now may show up in the list.",
    );
    failure.continue_token = Token { revision: None, start: token.start.clone() }.text();
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_wire_and_nonsense_is_refused() {
        for token in [
            Token { revision: Some(7), start: "a/b".to_owned() },
            Token { revision: None, start: "x".to_owned() },
        ] {
            assert_eq!(Token::read(&token.text()), Ok(token));
        }
        for text in
            ["foo", "", "e30", &URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"x"}"#)]
        {
            assert_eq!(Token::read(text).unwrap_err().code, 400, "{text}");
        }
    }
}
