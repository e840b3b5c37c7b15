//! Documents that are right, and what is said of those that are not.

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use x509::judge::{SanTolerance, SubjectTolerance, UsageTolerance, ValidityTolerance};

use super::*;

const TOKEN: &str = include_str!("../../fixtures/config/vault-token.yaml");
const APPROLE: &str = include_str!("../../fixtures/config/vault-approle.json");

#[test]
fn a_yaml_document_is_read() {
    assert_eq!(
        parse(TOKEN).unwrap(),
        PkiConfig {
            backend: Backend::Vault(VaultConfig {
                url: PkiUrl::parse("https://vault.example.com:8200").unwrap(),
                path: VaultPath::parse("pki_int/sign/web").unwrap(),
                namespace: Some("team-a".to_owned()),
                auth: VaultAuth::Token,
                lookup: Some(VaultLookup { max_certificates: 2000 }),
            }),
            tls: TlsConfig::default(),
            tolerance: Tolerance {
                subject: SubjectTolerance::Any,
                validity: ValidityTolerance {
                    longer_by: Some(Duration::from_hours(24)),
                    ..ValidityTolerance::default()
                },
                ..Tolerance::default()
            },
        }
    );
}

#[test]
fn a_json_document_is_read() {
    assert_eq!(
        parse(APPROLE).unwrap(),
        PkiConfig {
            backend: Backend::Vault(VaultConfig {
                url: PkiUrl::parse("https://vault.example.com:8200").unwrap(),
                path: VaultPath::parse("pki_int/sign-verbatim").unwrap(),
                namespace: None,
                auth: VaultAuth::AppRole {
                    role_id: "a1b2c3".to_owned(),
                    mount_path: "approle-ci".to_owned()
                },
                lookup: None,
            }),
            tls: TlsConfig { ca_bundle: Vec::new(), min_version: TlsVersion::V1_3 },
            tolerance: Tolerance {
                subject: SubjectTolerance::CommonName,
                subject_alt_names: SanTolerance::Superset,
                usages: UsageTolerance::Exact,
                validity: ValidityTolerance { longer_by: None, clock_skew: Duration::from_mins(1) },
            },
        }
    );
}

/// What is said of `TOKEN` with `from` replaced by `to`.
fn complaint(from: &str, to: &str) -> String {
    assert!(TOKEN.contains(from), "{from}");
    parse(&TOKEN.replace(from, to)).unwrap_err().to_string()
}

#[test]
fn every_error_names_its_path() {
    let complaints = [
        complaint("type: vault", "type: ejbca"),
        complaint("type: vault", "type: vault\ncolour: blue"),
        complaint("  url:", "  address:"),
        complaint("https://vault.example.com:8200", "vault.example.com"),
        complaint("https://vault.example.com:8200", "https://root:hvs.canary@vault.example.com"),
        complaint("pki_int/sign/web", "pki_int/issue/web"),
        complaint("namespace: team-a", "namespace: team a"),
        complaint("    method: token", "    method: kerberos"),
        complaint("    method: token", "    method: token\n    roleId: x"),
        complaint("    method: token", "    method: appRole"),
        complaint("maxCertificates: 2000", "maxCertificates: 0"),
        complaint("maxCertificates: 2000", "maxCertificates: 1000001"),
        complaint("maxCertificates: 2000", "certificates: 5"),
        complaint("longerBy: 24h", "longerBy: a day"),
        complaint("longerBy: 24h", "longerBy: 24"),
        complaint("tolerance:", "tls: {caBundle: nothing}\ntolerance:"),
        complaint("tolerance:", "tls: {insecure: true}\ntolerance:"),
        complaint("vault:\n", "vault: 5\nvault:\n"),
        complaint("type: vault\n", "type: [\n"),
        parse("").unwrap_err().to_string(),
        parse("type: vault").unwrap_err().to_string(),
        parse(&" ".repeat(MAX_LEN + 1)).unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(complaints.join("\n"));
    assert!(!complaints.concat().contains("canary"));
}

#[test]
fn aliases_do_not_explode() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        let aliases = vec![format!("*a{before}"); 10].join(",");
        let _ = writeln!(bomb, "a{level}: &a{level} [{aliases}]");
    }
    assert!(matches!(parse(&bomb), Err(ConfigError::Syntax(_))));
    assert!(parse(&"[".repeat(100_000)).is_err());
    assert!(parse(&format!("type: {}", "{a: ".repeat(50_000))).is_err());
}

proptest! {
    #[test]
    fn no_document_panics(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_damage_to_a_good_document_panics(at in 0_usize..200, with in "\\PC{0,3}", length in 0_usize..20) {
        let mut text: Vec<char> = TOKEN.chars().collect();
        let at = at.min(text.len());
        text.splice(at..(at + length).min(text.len()), with.chars());
        if let Err(error) = parse(&text.into_iter().collect::<String>()) {
            prop_assert!(error.to_string().len() < 2000);
        }
    }
}
