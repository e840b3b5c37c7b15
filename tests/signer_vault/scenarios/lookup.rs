//! Looking for what was issued, and revoking it.

use external_issuer::clock::{Clock as _, SystemClock};
use external_issuer::signer::{
    Answer, Lookup, Offers, Order, Origin, Outcome, Revocation, Signer, UnhealthyReason,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use x509::Tolerance;

use super::super::server::Server;
use super::{judged, signed, unhealthy, web};

/// More than two pages of a list, and no whole number of them.
const MANY: usize = 450;

pub(super) async fn prepare(server: &Server) {
    server.write("sys/mounts/many", json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}})).await;
    server
        .write(
            "many/root/generate/internal",
            json!({"common_name": "Many", "ttl": "87600h", "key_type": "ec"}),
        )
        .await;
    server.write("many/roles/open", json!({"allow_any_name": true, "allow_ip_sans": true, "allowed_uri_sans": ["*"], "key_type": "any"})).await;
    for (name, path, capability) in [
        ("lister", "team/certs", "list"),
        ("detailed-lister", "team/certs/detailed", "list"),
        ("revoker", "team/revoke", "update"),
    ] {
        let policy = format!("path \"{path}\" {{ capabilities = [\"{capability}\"] }}");
        server.write(&format!("sys/policies/acl/{name}"), json!({"policy": policy})).await;
    }
}

pub(super) async fn all(server: &Server) {
    what_was_issued_is_found_by_its_key(server).await;
    list_on_the_certificates_is_enough(server).await;
    without_it_the_issuer_is_at_fault(server).await;
    what_is_revoked_is_not_found(server).await;
    a_policy_without_revoke_and_a_certificate_of_elsewhere_are_refused(server).await;
    what_is_not_kept_is_revoked_all_the_same(server).await;
    between_the_pages_of_a_list_nothing_is_lost(server).await;
}

fn a_minute_ago() -> Timestamp {
    SystemClock.now() - SignedDuration::from_mins(1)
}

async fn found(signer: &dyn Signer, order: &Order, since: Timestamp) -> Vec<Answer> {
    match signer.look_up(order, since).await {
        Lookup::Found(answers) => answers,
        other => panic!("{other:?}"),
    }
}

fn serial(answer: &Answer) -> String {
    answer.certificates.first().unwrap().serial_hex()
}

async fn what_was_issued_is_found_by_its_key(server: &Server) {
    assert_eq!(server.signer("team/sign/open", server.root_token()).offers(), Offers::Nothing);
    for path in ["team/sign/open", "team/issuer/default/sign/open"] {
        let signer = server.looking(path, server.root_token(), 1000);
        assert_eq!(signer.offers(), Offers::Lookup);
        assert_eq!(signer.check().await, Ok(()));
        let (order, other) = (web(), web());
        assert_eq!(found(&*signer, &order, a_minute_ago()).await, []);
        let issued = signed(&*signer, &order).await;
        signed(&*signer, &other).await;

        let [answer] = found(&*signer, &order, a_minute_ago()).await.try_into().unwrap();
        assert_eq!((serial(&answer), answer.origin), (serial(&issued), Origin::Found));
        let chain = judged(&order, &Tolerance::default(), answer).unwrap();
        assert_eq!(chain.root.unwrap().subject().to_string(), "CN=Root");
        let later = SystemClock.now() + SignedDuration::from_mins(1);
        assert_eq!(found(&*signer, &order, later).await, [], "it is older than that");

        // What was read before is not read again, and what is new is found.
        signed(&*signer, &order).await;
        assert_eq!(found(&*signer, &order, a_minute_ago()).await.len(), 2);
    }
}

async fn list_on_the_certificates_is_enough(server: &Server) {
    for listers in [&["signer", "lister", "detailed-lister"][..], &["signer", "lister"]] {
        let signer = server.looking("team/sign/open", &server.token(listers).await, 1000);
        assert_eq!(signer.check().await, Ok(()));
        let order = web();
        let issued = signed(&*signer, &order).await;
        let [answer] = found(&*signer, &order, a_minute_ago()).await.try_into().unwrap();
        assert_eq!(serial(&answer), serial(&issued), "{listers:?}");
    }
}

async fn without_it_the_issuer_is_at_fault(server: &Server) {
    let signer = server.looking("team/sign/open", &server.token(&["signer"]).await, 1000);
    let needed = "for vault.lookup a policy must have: path \"team/certs\" { capabilities = [\"list\"] }";
    let (reason, message) = unhealthy(signer.check().await);
    assert_eq!(reason, UnhealthyReason::CredentialsRefused, "{message}");
    assert!(message.contains(needed), "{message}");
    let lookup = signer.look_up(&web(), a_minute_ago()).await;
    let Lookup::NotNow(Outcome::IssuerAtFault { message }) = lookup else { panic!("{lookup:?}") };
    assert!(message.contains(needed), "{message}");

    let elsewhere = server.looking("nopki/sign/open", server.root_token(), 1000);
    let lookup = elsewhere.look_up(&web(), a_minute_ago()).await;
    let Lookup::NotNow(Outcome::IssuerAtFault { message }) = lookup else { panic!("{lookup:?}") };
    assert!(message.contains("no handler for route"), "{message}");
}

async fn what_is_revoked_is_not_found(server: &Server) {
    let signer =
        server.looking("team/sign/open", &server.token(&["signer", "lister", "revoker"]).await, 1000);
    let order = web();
    let issued = signed(&*signer, &order).await;
    assert_eq!(found(&*signer, &order, a_minute_ago()).await.len(), 1);
    let leaf = issued.certificates.first().unwrap();
    // A second time is no error.
    for _ in 0..2 {
        assert_eq!(signer.revoke(leaf).await, Revocation::Revoked);
    }
    assert_eq!(found(&*signer, &order, a_minute_ago()).await, []);
}

async fn a_policy_without_revoke_and_a_certificate_of_elsewhere_are_refused(server: &Server) {
    let signer = server.signer("team/sign/open", &server.token(&["signer"]).await);
    let issued = signed(&*signer, &web()).await;
    let revocation = signer.revoke(issued.certificates.first().unwrap()).await;
    let Revocation::Refused { message } = revocation else { panic!("{revocation:?}") };
    assert!(
        message.contains("a policy must have: path \"team/revoke\" { capabilities = [\"update\"] }"),
        "{message}"
    );

    let elsewhere = server.signer("many/sign/open", server.root_token());
    let issued = signed(&*elsewhere, &web()).await;
    let signer = server.signer("team/sign/open", server.root_token());
    let revocation = signer.revoke(issued.certificates.first().unwrap()).await;
    // OpenBao says so with a 500, which might pass; a few more tries do no harm.
    let (Revocation::Refused { message } | Revocation::Retryable { message }) = revocation else { panic!() };
    let expected = if server.is_real() { "unable to verify signature" } else { "not found" };
    assert!(message.contains(expected), "{message}");
}

/// The mock knows no certificate that it does not keep.
async fn what_is_not_kept_is_revoked_all_the_same(server: &Server) {
    if !server.is_real() {
        return;
    }
    let role = json!({"allow_any_name": true, "allow_ip_sans": true, "allowed_uri_sans": ["*"], "key_type": "any", "no_store": true});
    server.write("many/roles/unkept", role).await;
    let signer = server.signer("many/sign/unkept", server.root_token());
    let issued = signed(&*signer, &web()).await;
    assert_eq!(signer.revoke(issued.certificates.first().unwrap()).await, Revocation::Revoked);
}

async fn between_the_pages_of_a_list_nothing_is_lost(server: &Server) {
    let order = web();
    for _ in 0..MANY {
        server.write("many/sign/open", json!({"csr": order.csr.to_pem(), "ttl": "1h"})).await;
    }
    let signer = server.looking("many/sign/open", server.root_token(), 1000);
    assert_eq!(found(&*signer, &order, a_minute_ago()).await.len(), MANY);

    let hasty = server.looking("many/sign/open", server.root_token(), 400);
    let lookup = hasty.look_up(&order, a_minute_ago()).await;
    let Lookup::GaveUp { message } = lookup else { panic!("{lookup:?}") };
    assert!(message.starts_with("many keeps more than 400 certificates: raise"), "{message}");
}
