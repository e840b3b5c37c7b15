//! The private key of the issuance under way (`pkg/controller/certificates/keymanager`).

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use super::{Act, Decision, NextKey, Note, Pem, Snapshot, target};
use crate::{
    key::{KeyAlgorithm, PrivateKey},
    names::TLS_KEY,
    policies::{GoList, data},
};

const COMPONENT: &str = "cert-manager-certificates-key-manager";

/// The key that the issuance goes on with.
pub(super) struct Found<'a> {
    pub(super) secret: &'a Secret,
    pub(super) key: PrivateKey,
}

/// The key, if all is in order with it; else what to do about it.
pub(super) fn find<'a>(snapshot: &Snapshot<'a>) -> Result<Found<'a>, Box<Decision>> {
    let status = snapshot.status();
    let secret = match snapshot.next_private_keys.as_slice() {
        [] => return Err(Box::new(make(snapshot))),
        [one] => *one,
        several => {
            let named = status.next_private_key_secret_name.as_deref();
            let surplus = several.iter().find(|secret| named != Some(&secret.name_any()));
            let act = surplus.map(|secret| Act::DeleteNextPrivateKey(target(*secret)));
            return Err(Box::new(Decision { act, ..Decision::default() }));
        }
    };
    let delete = |note| {
        let act = Act::DeleteNextPrivateKey(target(secret));
        Box::new(Decision { act: Some(act), note, ..Decision::default() })
    };
    match &status.next_private_key_secret_name {
        None => return Err(Box::new(adopt(snapshot, secret))),
        Some(name) if *name != secret.name_any() => return Err(delete(None)),
        Some(_) => {}
    }
    let Ok(key) = PrivateKey::from_pem(data(secret, TLS_KEY)) else { return Err(delete(None)) };
    let violations = key.violations(&snapshot.certificate.spec);
    if !violations.is_empty() {
        let message = format!("Regenerating private key due to change in fields: {}", GoList(&violations));
        return Err(delete(Some(note(false, "Deleted", message))));
    }
    Ok(Found { secret, key })
}

fn adopt(snapshot: &Snapshot<'_>, secret: &Secret) -> Decision {
    let mut status = snapshot.status();
    status.next_private_key_secret_name = Some(secret.name_any());
    Decision::act(Act::UpdateStatus { status: Box::new(status), manager: COMPONENT, note: None })
}

fn make(snapshot: &Snapshot<'_>) -> Decision {
    let certificate = snapshot.certificate;
    let policy = certificate.spec.private_key.as_ref().map_or("", |key| key.rotation_policy.as_str());
    let Some(algorithm) = KeyAlgorithm::of(&certificate.spec) else { return Decision::default() };
    let attempts =
        certificate.status.as_ref().and_then(|status| status.failed_issuance_attempts).unwrap_or(0);
    let purpose = format!(
        "{}/{}/{}/{}/{attempts}",
        certificate.namespace().unwrap_or_default(),
        certificate.name_any(),
        certificate.uid().unwrap_or_default(),
        certificate.next_revision(),
    );
    let generate = NextKey::Generate { algorithm, purpose };
    match policy {
        "" | "Always" => Decision::act(Act::CreateNextPrivateKey(generate)),
        "Never" => keep(snapshot, generate),
        _ => Decision::default(),
    }
}

/// The key that is there, where the user wants to keep it; `otherwise` where there is none.
fn keep(snapshot: &Snapshot<'_>, otherwise: NextKey) -> Decision {
    let secret_name = &snapshot.certificate.spec.secret_name;
    let pem = snapshot.secret.map_or(&[][..], |secret| data(secret, TLS_KEY));
    if pem.is_empty() {
        return Decision::act(Act::CreateNextPrivateKey(otherwise));
    }
    let Ok(key) = PrivateKey::from_pem(pem) else {
        let message =
            format!("Failed to decode private key stored in Secret {secret_name:?} - generating new key");
        let note = Some(note(true, "DecodeFailed", message));
        return Decision { note, ..Decision::act(Act::CreateNextPrivateKey(otherwise)) };
    };
    let violations = key.violations(&snapshot.certificate.spec);
    if violations.is_empty() {
        return Decision::act(Act::CreateNextPrivateKey(NextKey::Reuse(Pem(pem.to_vec()))));
    }
    let message = format!(
        "User intervention required: existing private key in Secret {secret_name:?} does not match requirements on \
         Certificate resource, mismatching fields: {}, but cert-manager cannot create new private key as the \
         Certificate's .spec.privateKey.rotationPolicy is unset or set to Never. To allow cert-manager to create a \
         new private key you can set .spec.privateKey.rotationPolicy to 'Always' (this will result in the private \
         key being regenerated every time a cert is renewed) ",
        GoList(&violations)
    );
    Decision { note: Some(note(true, "CannotRegenerateKey", message)), ..Decision::default() }
}

fn note(warning: bool, reason: &str, message: String) -> Note {
    Note { warning, reason: reason.to_owned(), message, component: COMPONENT }
}
