//! Certificates from a mock CA.

use anyhow::ensure;
use serde_json::json;

use super::scenarios;
use crate::Result;
use crate::api::{CertificateSpec, OtherName, X509Subject};
use crate::judge::Seen;
use crate::world::{Issuer, Kind, World, key};

scenarios!("mockca":
    beside a_certificate_from_a_mock_ca_becomes_a_secret,
    beside every_kind_of_key_and_name_is_signed_as_it_was_asked,
    beside every_algorithm_of_a_mock_ca_issues,
);

async fn a_certificate_from_a_mock_ca_becomes_a_secret(world: &World) -> Result {
    for kind in Kind::BOTH {
        let issuer = world.issuer(kind, "mock", json!({"signerType": "mockca"})).await?;
        world.issuer_ready(&issuer).await?;
        let name = kind.as_str().to_ascii_lowercase();
        world.certificate(&name, &issuer.reference()).await?;
        world.issued_well(&name).await?;
    }
    Ok(())
}

async fn every_kind_of_key_and_name_is_signed_as_it_was_asked(world: &World) -> Result {
    let issuer = world.issuer(Kind::Issuer, "mock", json!({"signerType": "mockca"})).await?;
    let keys = [
        ("rsa", key("RSA", 2048, "Always")),
        ("p384", key("ECDSA", 384, "Always")),
        ("ed25519", key("Ed25519", 0, "Always")),
    ];
    for (name, key) in keys {
        world.certificate_with(name, &issuer.reference(), |spec| spec.private_key = Some(key)).await?;
        world.issued_well(name).await?;
    }
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let leaf = issued(world, &issuer, "names", |spec| {
        spec.ip_addresses = words(&["10.0.0.1", "fd00::1"]);
        spec.uris = words(&["spiffe://cluster.local/ns/a/sa/b"]);
        spec.email_addresses = words(&["a@example.com"]);
        let (oid, utf8_value) = ("1.3.6.1.4.1.311.20.2.3".to_owned(), "upn@example.com".to_owned());
        spec.other_names = Some(vec![OtherName { oid, utf8_value }]);
        spec.usages = words(&["digital signature", "server auth", "client auth"]);
    })
    .await?;
    let mut names: Vec<&str> = leaf.subject_alt_names.split(", ").collect();
    names.sort_unstable();
    let asked = [
        "DNS:names.example.com",
        "IP Address:10.0.0.1",
        "IP Address:FD00:0:0:0:0:0:0:1",
        "URI:spiffe://cluster.local/ns/a/sa/b",
        "email:a@example.com",
        "othername: UPN::upn@example.com",
    ];
    ensure!(names == asked, "{names:?}");
    let usages = "Digital Signature, TLS Web Server Authentication, TLS Web Client Authentication";
    ensure!(leaf.usages == usages, "{}", leaf.usages);

    let leaf = issued(world, &issuer, "ca", |spec| {
        spec.is_ca = true;
        spec.subject = Some(X509Subject {
            organizations: words(&["Org"]),
            countries: words(&["DE"]),
            ..X509Subject::default()
        });
        spec.usages = words(&["cert sign", "crl sign"]);
    })
    .await?;
    ensure!(leaf.basic_constraints.starts_with("CA:TRUE"), "{}", leaf.basic_constraints);
    ensure!(leaf.subject == "CN=ca.example.com,O=Org,C=DE", "{}", leaf.subject);
    ensure!(leaf.usages == "Certificate Sign, CRL Sign", "{}", leaf.usages);

    // Several attributes in one RDN, the same type twice, an order of its own: it is taken byte by byte.
    let subject = "CN=literal.example.com,OU=two+OU=one,OU=three,UID=u,O=Org,DC=example,DC=com";
    let leaf = issued(world, &issuer, "literal", |spec| {
        spec.common_name = String::new();
        subject.clone_into(&mut spec.literal_subject);
    })
    .await?;
    ensure!(leaf.subject == subject, "{}", leaf.subject);
    Ok(())
}

/// The leaf of a Certificate that is changed.
async fn issued(
    world: &World,
    issuer: &Issuer,
    name: &str,
    change: impl FnOnce(&mut CertificateSpec),
) -> Result<Seen> {
    world.certificate_with(name, &issuer.reference(), change).await?;
    world.certificate_ready(name).await?;
    world.pair(name).await?.judge()
}

async fn every_algorithm_of_a_mock_ca_issues(world: &World) -> Result {
    let algorithms =
        ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "rsa-3072", "rsa-4096", "ed25519"];
    for algorithm in algorithms {
        let spec = json!({"signerType": "mockca", "mockca": {"keyAlgorithm": algorithm}});
        let issuer = world.issuer(Kind::Issuer, algorithm, spec).await?;
        world.certificate(algorithm, &issuer.reference()).await?;
    }
    for algorithm in algorithms {
        world.issued_well(algorithm).await?;
    }
    Ok(())
}
