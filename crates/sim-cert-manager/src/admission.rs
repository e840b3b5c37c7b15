//! The webhook's rules for CertificateRequests, as a function that an API server may ask on every write
//! (`internal/webhook/admission/certificaterequest`, `internal/apis/certmanager/validation/certificaterequest.go`).
//!
//! - a new request says who made it, whatever its maker wrote there;
//! - its CSR can be read, is signed by its key, and asks for the usages and `isCA` of its spec, if it says any;
//! - spec and cert-manager's annotations never change;
//! - `Approved` and `Denied` are `True`, never both, and stay as they are once set;
//! - to set one of them needs the verb `approve` on the resource `signers` of the group `cert-manager.io`, named
//!   `<plural>.<group>/*`, or `<plural>.<group>/<namespace>.<name>`, or `/<name>` for a cluster-scoped kind.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use x509::Csr;

use crate::{
    api::{CertificateRequest, CertificateRequestSpec, IssuerReference},
    names::{APPROVED, DENIED},
    usages::Usages,
};

/// A write of a CertificateRequest, or of its status.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The object before; nothing when it is made.
    pub old: Option<&'a Value>,
    /// The object after.
    pub new: &'a Value,
    /// Whether it is its subresource `status` that is written.
    pub is_status: bool,
    /// Who writes.
    pub user: &'a User,
}

/// Who writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The uid; often empty.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else is known.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// A kind of issuer, as discovery tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerKind {
    /// The resource's name.
    pub plural: String,
    /// Whether its objects have a namespace.
    pub is_namespaced: bool,
}

/// What the rules have to know of the cluster.
#[derive(Clone, Copy)]
pub struct Questions<'a> {
    /// The kind of issuer with this group and kind, if there is one.
    pub signer_kind: &'a dyn Fn(&str, &str) -> Option<SignerKind>,
    /// Whether the user may `approve` the signer of this name (of `signers` in `cert-manager.io`).
    pub may_approve: &'a dyn Fn(&str) -> bool,
    /// Whether the CSR of a new request is read at all. It is, unless the webhook is away and policies stand in.
    pub reads_csr: bool,
}

/// The write is refused. A real API server answers 403, reason `Forbidden`, with this message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("admission webhook \"webhook.cert-manager.io\" denied the request: {message}")]
pub struct Denied {
    message: String,
}

/// The object to store instead of `write.new`; nothing if it may stay as it is.
///
/// # Errors
/// [`Denied`] names every rule that is broken.
pub fn admit(write: &Write<'_>, questions: &Questions<'_>) -> Result<Option<Value>, Denied> {
    let stamped = write.old.is_none().then(|| stamp(write.new, write.user));
    let new = stamped.as_ref().unwrap_or(write.new);
    let mut errors = Vec::new();
    match write.old {
        None => {
            let request: CertificateRequest =
                serde_json::from_value(new.clone()).map_err(|error| Denied { message: error.to_string() })?;
            if questions.reads_csr {
                spec(&request.spec, &mut errors);
            }
        }
        Some(old) => {
            identity_is_unchanged(old, new, &mut errors);
            if write.is_status {
                approver_may(old, new, write.user, questions, &mut errors);
            }
            annotations_are_unchanged(old, new, &mut errors);
            decision_is_unchanged(old, new, &mut errors);
        }
    }
    decision(new, &mut errors);
    if let Some(old) = write.old
        && old.get("spec") != new.get("spec")
    {
        errors.push("spec: Forbidden: cannot change spec after creation".to_owned());
    }
    let mut seen = Vec::new();
    errors.retain(|error| {
        !seen.contains(error) && {
            seen.push(error.clone());
            true
        }
    });
    match errors.as_slice() {
        [] => Ok(stamped.filter(|stamped| stamped != write.new)),
        [one] => Err(Denied { message: one.clone() }),
        several => Err(Denied { message: format!("[{}]", several.join(", ")) }),
    }
}

/// The request with its maker's identity.
fn stamp(request: &Value, user: &User) -> Value {
    let mut request = request.clone();
    let Some(object) = request.as_object_mut() else { return request };
    let spec = object.entry("spec").or_insert_with(|| Value::Object(Map::new()));
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("uid".to_owned(), json!(user.uid));
        spec.insert("username".to_owned(), json!(user.name));
        spec.insert("groups".to_owned(), json!(user.groups));
        spec.remove("extra");
        if !user.extra.is_empty() {
            spec.insert("extra".to_owned(), json!(user.extra));
        }
    }
    request
}

fn identity_is_unchanged(old: &Value, new: &Value, errors: &mut Vec<String>) {
    for field in ["uid", "username", "groups", "extra"] {
        let pointer = format!("/spec/{field}");
        if old.pointer(&pointer) != new.pointer(&pointer) {
            errors.push(format!("spec.{field}: Forbidden: {field} identity cannot be changed once set"));
        }
    }
}

fn approver_may(old: &Value, new: &Value, user: &User, questions: &Questions<'_>, errors: &mut Vec<String>) {
    let appears = |type_| of_type(old, type_).next().is_none() && of_type(new, type_).next().is_some();
    if !appears(APPROVED) && !appears(DENIED) {
        return;
    }
    let issuer = new.pointer("/spec/issuerRef").cloned().unwrap_or_default();
    let issuer: IssuerReference = serde_json::from_value(issuer).unwrap_or_default();
    let shown = format!("{{{} {} {}}}", issuer.name, issuer.kind, issuer.group);
    let Some(kind) = (questions.signer_kind)(issuer.group(), issuer.kind()) else {
        errors.push(format!("spec.issuerRef: Forbidden: referenced signer resource does not exist: {shown}"));
        return;
    };
    let namespace = new.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    let signers = format!("{}.{}", kind.plural, issuer.group());
    let signer = if kind.is_namespaced {
        format!("{signers}/{namespace}.{}", issuer.name)
    } else {
        format!("{signers}/{}", issuer.name)
    };
    if !(questions.may_approve)(&format!("{signers}/*")) && !(questions.may_approve)(&signer) {
        errors.push(format!(
            "status.conditions: Forbidden: user {:?} does not have permissions to set approved/denied conditions for \
             issuer {shown}",
            user.name
        ));
    }
}

fn annotations_are_unchanged(old: &Value, new: &Value, errors: &mut Vec<String>) {
    let annotations = |object: &Value| -> Map<String, Value> {
        let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
        annotations.cloned().unwrap_or_default()
    };
    let (old, new) = (annotations(old), annotations(new));
    let fixed = |key: &&String| key.starts_with("cert-manager.io") || key.starts_with("acme.cert-manager.io");
    for key in old.keys().chain(new.keys()).filter(fixed) {
        if old.get(key) != new.get(key) {
            errors.push(format!(
                "metadata.annotations.{key}: Forbidden: cannot change cert-manager annotation after creation"
            ));
        }
    }
}

fn of_type<'a>(request: &'a Value, type_: &'a str) -> impl Iterator<Item = &'a Value> {
    let conditions = request.pointer("/status/conditions").and_then(Value::as_array);
    let conditions = conditions.into_iter().flatten();
    conditions.filter(move |condition| condition.get("type").and_then(Value::as_str) == Some(type_))
}

fn decision_is_unchanged(old: &Value, new: &Value, errors: &mut Vec<String>) {
    for type_ in [APPROVED, DENIED] {
        let before = of_type(old, type_).next();
        if before.is_some() && before != of_type(new, type_).next() {
            errors.push(format!(
                "status.conditions: Forbidden: '{type_}' condition may not be modified once set"
            ));
        }
    }
}

fn decision(new: &Value, errors: &mut Vec<String>) {
    for type_ in [APPROVED, DENIED] {
        let found: Vec<_> = of_type(new, type_).collect();
        match found.as_slice() {
            [] => {}
            [one] => {
                let status = one.get("status").and_then(Value::as_str).unwrap_or_default();
                if status != "True" {
                    errors.push(format!(
                        "status.conditions.{type_}: Invalid value: {status:?}: {type_:?} condition may only be set to \
                         True"
                    ));
                }
            }
            _ => errors.push(format!("status.conditions: Forbidden: multiple {type_:?} conditions present")),
        }
    }
    if of_type(new, APPROVED).next().is_some() && of_type(new, DENIED).next().is_some() {
        let message = "status.conditions: Forbidden: both 'Denied' and 'Approved' conditions cannot coexist";
        errors.push(message.to_owned());
    }
}

fn spec(spec: &CertificateRequestSpec, errors: &mut Vec<String>) {
    let issuer = &spec.issuer_ref;
    if issuer.name.is_empty() {
        errors.push("spec.issuerRef.name: Required value: must be specified".to_owned());
    }
    if issuer.group() == "cert-manager.io" && !matches!(issuer.kind(), "Issuer" | "ClusterIssuer") {
        let hint = "(did you forget to set spec.issuerRef.kind.group?)";
        let hint = if issuer.group.is_empty() { format!(" {hint}") } else { String::new() };
        let kind = &issuer.kind;
        errors.push(format!(
            "spec.issuerRef.kind: Invalid value: {kind:?}: must be one of Issuer or ClusterIssuer{hint}"
        ));
    }
    if spec.request.0.is_empty() {
        errors.push("spec.request: Required value: must be specified".to_owned());
        return;
    }
    match Usages::of(&spec.usages, spec.is_ca) {
        Err(unknown) => {
            let (usages, unknown) = (json!(spec.usages), unknown.join(" "));
            errors.push(format!("spec.usages: Invalid value: {usages}: unknown key usages: [{unknown}]"));
        }
        Ok(usages) => {
            if let Err(message) = csr_agrees(&spec.request.0, &usages, spec.is_ca) {
                let text = String::from_utf8_lossy(&spec.request.0);
                let text = text.get(..97).map_or_else(|| text.to_string(), |start| format!("{start}..."));
                errors.push(format!("spec.request: Invalid value: {text:?}: {message}"));
            }
        }
    }
}

/// What the CSR says about usages and `isCA` is what the spec says; it need not say anything.
fn csr_agrees(pem: &[u8], usages: &Usages, is_ca: bool) -> Result<(), String> {
    let csr = Csr::from_pem(pem).map_err(|error| error.to_string())?;
    csr.verify().map_err(|error| error.to_string())?;
    if let Some(asked) = csr.is_ca().filter(|asked| *asked != is_ca) {
        return Err(format!("encoded CSR error: IsCA {asked} does not match expected value {is_ca}"));
    }
    let (key, extended) = (csr.extension("2.5.29.15"), csr.extension("2.5.29.37"));
    if key.is_none() && extended.is_none() {
        return Ok(());
    }
    let asked = Usages::read(key, extended).ok_or("x509: invalid key usage")?;
    let differ = |what: &str, asked: &[&str], expected: &[&str]| {
        let (asked, expected) = (quoted(asked), quoted(expected));
        Err(format!("encoded CSR error: the {what} {asked} do not match the expected {what} {expected}"))
    };
    if asked.key_words() != usages.key_words() {
        return differ("KeyUsages", &asked.key_words(), &usages.key_words());
    }
    let mut extended = asked.extended_words();
    extended.retain(|word| *word != "unknown");
    if extended != usages.extended_words() {
        return differ("ExtKeyUsages", &extended, &usages.extended_words());
    }
    Ok(())
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!(" '{word}'")).collect();
    if words.is_empty() { "[]".to_owned() } else { format!("[{} ]", words.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::CertificateSpec,
        csr::request_pem,
        key::{KeyAlgorithm, PrivateKey},
    };

    fn user() -> User {
        User { name: "jane".to_owned(), groups: vec!["people".to_owned()], ..User::default() }
    }

    fn request(change: impl Fn(&mut CertificateSpec)) -> Value {
        let mut spec = CertificateSpec { common_name: "web".to_owned(), ..CertificateSpec::default() };
        change(&mut spec);
        let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let pem = request_pem(&spec, &key).unwrap();
        let spec = CertificateRequestSpec {
            request: k8s_openapi::ByteString(pem.into_bytes()),
            issuer_ref: IssuerReference {
                name: "pki".to_owned(),
                kind: "ExternalIssuer".to_owned(),
                group: "external-issuer.io".to_owned(),
            },
            ..CertificateRequestSpec::default()
        };
        let mut request = CertificateRequest::new("web-1", spec);
        request.metadata.namespace = Some("shop".to_owned());
        serde_json::to_value(request).unwrap()
    }

    fn asked(write: &Write<'_>, granted: &[&str]) -> Result<Option<Value>, String> {
        let questions = Questions {
            signer_kind: &|group, kind| {
                (group == "external-issuer.io").then(|| SignerKind {
                    plural: format!("{}s", kind.to_lowercase()),
                    is_namespaced: !kind.contains("Cluster"),
                })
            },
            may_approve: &|name| granted.contains(&name),
            reads_csr: true,
        };
        admit(write, &questions).map_err(|denied| denied.message)
    }

    fn created(new: &Value) -> Result<Option<Value>, String> {
        asked(&Write { old: None, new, is_status: false, user: &user() }, &[])
    }

    fn updated(old: &Value, new: &Value, granted: &[&str]) -> Result<Option<Value>, String> {
        asked(&Write { old: Some(old), new, is_status: true, user: &user() }, granted)
    }

    fn with(request: &Value, pointer: &str, value: Value) -> Value {
        let mut request = request.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        if request.pointer(parent).is_none() {
            request = with(&request, parent, json!({}));
        }
        request.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
        request
    }

    #[test]
    fn a_new_request_says_who_made_it_whatever_its_maker_wrote() {
        let forged = with(&request(|_| {}), "/spec/username", json!("somebody else"));
        let stored = created(&with(&forged, "/spec/extra", json!({"a": ["b"]}))).unwrap().unwrap();
        assert_eq!(stored["spec"]["username"], "jane");
        assert_eq!(stored["spec"]["groups"], json!(["people"]));
        assert_eq!(stored["spec"].get("extra"), None);
    }

    #[test]
    fn a_csr_that_says_something_else_than_its_spec_is_refused() {
        assert!(created(&request(|_| {})).is_ok());
        let message = created(&request(|spec| spec.is_ca = true)).unwrap_err();
        assert!(
            message.ends_with(
                "encoded CSR error: the KeyUsages [ 'digital signature', 'key encipherment', 'cert sign' ] do not \
                 match the expected KeyUsages [ 'digital signature', 'key encipherment' ]"
            ),
            "{message}"
        );
        assert!(message.starts_with("spec.request: Invalid value: \"-----BEGIN CERTIFICATE REQUEST-----\\n"));
        assert!(created(&request(|spec| spec.encode_usages_in_request = Some(false))).is_ok());
        let none = with(&request(|_| {}), "/spec/request", json!(""));
        assert_eq!(created(&none).unwrap_err(), "spec.request: Required value: must be specified");
        let usages = with(&request(|_| {}), "/spec/usages", json!(["telepathy"]));
        let message = "spec.usages: Invalid value: [\"telepathy\"]: unknown key usages: [telepathy]";
        assert_eq!(created(&usages).unwrap_err(), message);
    }

    #[test]
    fn only_who_may_approve_the_signer_decides() {
        let old = request(|_| {});
        let condition = json!([{"type": "Approved", "status": "True"}]);
        let new = with(&old, "/status/conditions", condition);
        for granted in ["externalissuers.external-issuer.io/*", "externalissuers.external-issuer.io/shop.pki"]
        {
            assert_eq!(updated(&old, &new, &[granted]), Ok(None));
        }
        for granted in
            ["externalissuers.external-issuer.io/pki", "externalissuers.external-issuer.io/other.pki"]
        {
            assert_eq!(
                updated(&old, &new, &[granted]).unwrap_err(),
                "status.conditions: Forbidden: user \"jane\" does not have permissions to set approved/denied \
                 conditions for issuer {pki ExternalIssuer external-issuer.io}"
            );
        }
        let elsewhere = |request: &Value| with(request, "/spec/issuerRef/group", json!("example.com"));
        assert_eq!(
            updated(&elsewhere(&old), &elsewhere(&new), &[]).unwrap_err(),
            "spec.issuerRef: Forbidden: referenced signer resource does not exist: {pki ExternalIssuer example.com}"
        );
        // Once it is there, anybody may write the rest of the status.
        let later = with(&new, "/status/certificate", json!(""));
        assert_eq!(updated(&new, &later, &[]), Ok(None));
    }

    #[test]
    fn a_decision_stands() {
        let all = ["externalissuers.external-issuer.io/*"];
        let approved = json!({"type": "Approved", "status": "True"});
        let denied = json!({"type": "Denied", "status": "True"});
        let conditions = |list: Value| with(&request(|_| {}), "/status/conditions", list);
        let same_spec = |old: &Value, list: Value| with(old, "/status/conditions", list);
        let old = conditions(json!([approved]));
        assert_eq!(
            updated(&old, &same_spec(&old, json!([])), &all).unwrap_err(),
            "status.conditions: Forbidden: 'Approved' condition may not be modified once set"
        );
        assert_eq!(
            updated(&old, &same_spec(&old, json!([approved, denied])), &all).unwrap_err(),
            "status.conditions: Forbidden: both 'Denied' and 'Approved' conditions cannot coexist"
        );
        let undecided = conditions(json!([]));
        let no = json!([{"type": "Denied", "status": "False"}]);
        assert_eq!(
            updated(&undecided, &same_spec(&undecided, no), &all).unwrap_err(),
            "status.conditions.Denied: Invalid value: \"False\": \"Denied\" condition may only be set to True"
        );
    }

    #[test]
    fn spec_identity_and_annotations_stand() {
        let old = request(|_| {});
        assert_eq!(
            updated(&old, &with(&old, "/spec/isCA", json!(true)), &[]).unwrap_err(),
            "spec: Forbidden: cannot change spec after creation"
        );
        assert_eq!(
            updated(&old, &with(&old, "/spec/uid", json!("7")), &[]).unwrap_err(),
            "[spec.uid: Forbidden: uid identity cannot be changed once set, spec: Forbidden: cannot change spec after \
             creation]"
        );
        let annotated =
            with(&old, "/metadata/annotations", json!({"cert-manager.io/x": "1", "example.com/y": "2"}));
        assert_eq!(
            updated(&old, &annotated, &[]).unwrap_err(),
            "metadata.annotations.cert-manager.io/x: Forbidden: cannot change cert-manager annotation after creation"
        );
        let ours = with(&annotated, "/metadata/annotations/example.com~1y", json!("3"));
        assert_eq!(updated(&annotated, &ours, &[]), Ok(None));
    }
}
