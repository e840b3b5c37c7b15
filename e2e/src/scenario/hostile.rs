//! Requests that no webhook has looked at: malformed, hostile, or asking for the impossible.

use anyhow::ensure;

use super::scenarios;
use crate::Result;
use crate::api::CertificateRequestSpec;
use crate::world::{Csr, Issuer, Kind, World};

scenarios!("hostile":
    unread a_request_that_can_never_be_signed_says_so_once,
    beside a_configuration_that_cannot_be_read_says_where,
);

async fn a_request_that_can_never_be_signed_says_so_once(world: &World) -> Result {
    let issuer = world.issuer(Kind::Issuer, "mock", serde_json::json!({"signerType": "mockca"})).await?;
    world.issuer_ready(&issuer).await?;
    let good = Csr::of(&["good.example.com"])?;
    let body = good.pem.replace('\n', "\\n");
    let forged = forged(&good.pem)?;
    let huge = "A".repeat(900_000);
    let huge = format!("-----BEGIN CERTIFICATE REQUEST-----\n{huge}\n-----END CERTIFICATE REQUEST-----\n");
    let none = "there is no PEM block CERTIFICATE REQUEST";
    let texts: [(&str, Vec<u8>, &str); 7] = [
        ("text", b"not a CSR at all".to_vec(), none),
        ("certificate", good.pem.replace("CERTIFICATE REQUEST", "CERTIFICATE").into_bytes(), none),
        (
            "truncated",
            good.pem.as_bytes().get(..200).unwrap_or_default().to_vec(),
            "the PEM block \"CERTIFICATE REQUEST\" has no END line",
        ),
        ("one-line", body.into_bytes(), "the PEM block \"CERTIFICATE REQUEST…"),
        ("forged", forged.into_bytes(), "the request is not signed by its own P-256 key"),
        // As much as the API server takes in one object.
        ("huge", huge.into_bytes(), "certificate request: malformed DER: not a certificate request"),
        ("binary", (0..=255).cycle().take(5000).collect(), none),
    ];
    for (name, bytes, told) in &texts {
        let name = format!("csr-{name}");
        world.request_with(&name, &issuer.reference(), bytes, |_| {}).await?;
        invalid(world, &name, &format!("spec.request: {told}")).await?;
    }

    asks(
        world,
        &issuer,
        &good,
        "no-lifetime",
        "spec.duration: 0s is no lifetime for a certificate",
        |spec| {
            spec.duration = Some("0s".to_owned());
        },
    )
    .await?;
    asks(world, &issuer, &good, "past", "spec.duration: …", |spec| {
        spec.duration = Some("-5h".to_owned());
    })
    .await?;
    // Whoever comes next is served.
    world.certificate("next", &issuer.reference()).await?;
    world.issued_well("next").await.map(drop)
}

async fn asks(
    world: &World,
    issuer: &Issuer,
    csr: &Csr,
    name: &str,
    told: &str,
    change: impl FnOnce(&mut CertificateRequestSpec),
) -> Result {
    world.request_with(name, &issuer.reference(), csr.pem.as_bytes(), change).await?;
    invalid(world, name, told).await
}

/// The request failed for good, once, and says that nobody could sign it.
async fn invalid(world: &World, name: &str, told: &str) -> Result {
    let message = format!("the request can never be signed: {told}");
    let request = world
        .request_says(
            name,
            &[
                "Approved True/cert-manager.io: …",
                &format!("InvalidRequest True/InvalidRequest: {message}"),
                &format!("Ready False/Failed: {message}"),
            ],
        )
        .await?;
    ensure!(request.status.as_ref().is_some_and(|status| status.failure_time.is_some()), "no failureTime");
    for condition in request.conditions() {
        let length = condition.message.as_ref().map_or(0, String::len);
        ensure!(length <= 1000, "a message of {length} bytes");
    }
    world.status_writes_are(name, 1).await?;
    world.events_are(&request, &[&format!("Warning Failed: {message}")]).await
}

/// A CSR whose signature is not its key's: one character of the signature, near the end, is another.
fn forged(pem: &str) -> Result<String> {
    let end = pem.find("\n-----END").unwrap_or(pem.len());
    let at = end.saturating_sub(12);
    let old = pem.get(at..=at).unwrap_or_default();
    ensure!(!old.is_empty() && old != "\n", "no character at {at} in {pem}");
    let new = if old == "A" { "B" } else { "A" };
    let mut forged = pem.to_owned();
    forged.replace_range(at..=at, new);
    Ok(forged)
}

async fn a_configuration_that_cannot_be_read_says_where(world: &World) -> Result {
    let vault = world.pkis().openbao().await?.by_token().await?;
    let (key, value) = vault.credential();
    world.credential(Kind::Issuer, key, value).await?;
    let deep = "[".repeat(20_000);
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n\
                c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n\
                e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n";
    let huge = format!("type: vault # {}", "x".repeat(300 * 1024));
    // No text fits another's condition: a condition that stands would pass for the next document's.
    let documents = [
        ("", "document: invalid type: null, expected a mapping that begins with the PKI's type, …"),
        ("type: vault", "vault: is missing: type vault needs it"),
        (&deep, "is neither YAML nor JSON: …recursion limit exceeded"),
        ("type: ejbaca", "type: unknown variant `ejbaca`, …"),
        (bomb, "is neither YAML nor JSON: …budget breached…"),
        ("type: vault\nvualt: {}", "vualt: unknown field `vualt`, …"),
        (&huge, "is longer than 262144 bytes"),
        (
            "type: vault\nvault: {url: 'file:///etc/passwd', path: pki/sign/web, auth: {method: token}}",
            "vault.url: must begin with https:// …",
        ),
        (
            "type: vault\nvault: {url: 'https://v.example', path: pki/issue/web, auth: {method: token}}",
            "vault.path: must be <mount>/sign/<role> …",
        ),
        (
            "type: vault\nvault: {url: 'https://v.example', path: pki/sign/web, auth: {method: appRole}}",
            "vault.auth.roleId: is missing: method appRole needs it",
        ),
    ];
    world.configure(Kind::Issuer, "type: nothing").await?;
    let issuer = world.issuer(Kind::Issuer, "odd", world.patient_spec(Kind::Issuer)).await?;
    let place = format!("ConfigMap {}/pki-config, key pki.yaml: ", world.namespace);
    world
        .issuer_says(
            &issuer,
            &format!("Ready False/ConfigInvalid: {place}type: unknown variant `nothing`, …"),
        )
        .await?;
    for (document, told) in documents {
        world.configure(Kind::Issuer, document).await?;
        world.issuer_says(&issuer, &format!("Ready False/ConfigInvalid: {place}{told}")).await?;
    }
    // Corrected, it serves.
    world.configure(Kind::Issuer, &vault.config()).await?;
    world.issuer_ready(&issuer).await
}
