//! Does the certificate answer the request?

use std::time::Duration;

use jiff::SignedDuration;
use proptest::{prelude::*, sample::subsequence};
use x509::{
    Certificate, Chain, Mismatch, Tolerance, Usages,
    judge::{Difference, SanTolerance, SubjectTolerance, UsageTolerance, ValidityTolerance, judge},
};

use crate::{
    fixtures,
    issue::{Content, HOUR, now, valid_from, valid_until},
};

fn content() -> Content {
    Content {
        ed25519: false,
        common_name: Some("web.example.com".to_owned()),
        organisation: Some("Example".to_owned()),
        dns: vec!["web.example.com".to_owned(), "www.example.com".to_owned()],
        ips: vec!["10.0.0.1".parse().unwrap()],
        uris: vec!["spiffe://example.com/web".to_owned()],
        emails: vec!["web@example.com".to_owned()],
        usages: ["digital signature", "key encipherment", "server auth"].map(str::to_owned).to_vec(),
        is_ca: false,
        not_before: now(),
        lifetime: SignedDuration::from_hours(2160),
    }
}

fn verdict(asked: &Content, issued: &Content, tolerance: &Tolerance) -> Result<Chain, Mismatch> {
    let csr = asked.csr();
    judge(&asked.asked(&csr), tolerance, issued.issued(), Vec::new())
}

/// The differences a certificate has, which are all of them.
fn differences(asked: &Content, issued: &Content, tolerance: &Tolerance) -> Vec<Difference> {
    match verdict(asked, issued, tolerance) {
        Ok(_) => Vec::new(),
        Err(Mismatch::Certificate { differences, .. }) => differences,
        Err(other) => panic!("{other}"),
    }
}

fn change(change: impl FnOnce(&mut Content)) -> Content {
    let mut changed = content();
    change(&mut changed);
    changed
}

fn strict() -> Tolerance {
    Tolerance {
        subject: SubjectTolerance::Exact,
        subject_alt_names: SanTolerance::Exact,
        usages: UsageTolerance::Exact,
        validity: ValidityTolerance { longer_by: Some(Duration::ZERO), clock_skew: Duration::ZERO },
    }
}

fn lax() -> Tolerance {
    Tolerance {
        subject: SubjectTolerance::Any,
        subject_alt_names: SanTolerance::Any,
        usages: UsageTolerance::Any,
        validity: ValidityTolerance { longer_by: None, clock_skew: Duration::MAX },
    }
}

fn any_content() -> impl Strategy<Value = Content> {
    let names = ["web.example.com", "*.example.com", "a.b.example.com", "xn--mller-kva.example.com"];
    let usages = [
        "digital signature",
        "content commitment",
        "key encipherment",
        "data encipherment",
        "key agreement",
        "crl sign",
        "server auth",
        "client auth",
        "code signing",
        "email protection",
    ];
    (
        any::<(bool, bool, bool, bool)>(),
        subsequence(names.to_vec(), 0..=4),
        proptest::collection::btree_set(any::<std::net::IpAddr>(), 0..3),
        subsequence(usages.to_vec(), 1..=10),
        1i64..100_000,
    )
        .prop_map(|((ed25519, is_ca, common, organisation), dns, ips, usages, hours)| {
            let mut content = content();
            content.ed25519 = ed25519;
            content.is_ca = is_ca;
            content.common_name = content.common_name.filter(|_| common);
            content.organisation = content.organisation.filter(|_| organisation);
            content.dns = dns.into_iter().map(str::to_owned).collect();
            content.ips = ips.into_iter().collect();
            content.usages = usages.into_iter().map(str::to_owned).collect();
            if is_ca {
                content.usages.push("cert sign".to_owned());
            }
            content.lifetime = SignedDuration::from_hours(hours);
            content
        })
}

/// Single mistakes, each with what must be said about it under the strict tolerance.
fn mistakes(right: &Content) -> Vec<(&'static str, Content)> {
    let mut wrong = Vec::new();
    let mut mistake = |name: &'static str, make: &dyn Fn(&mut Content)| {
        let mut content = right.clone();
        make(&mut content);
        wrong.push((name, content));
    };
    mistake("subject", &|content| content.common_name = Some("other.example.com".to_owned()));
    mistake("subject", &|content| content.organisation = Some("Other".to_owned()));
    for index in 0..right.dns.len() {
        mistake("names missing", &|content| drop(content.dns.remove(index)));
    }
    for index in 0..right.ips.len() {
        mistake("names missing", &|content| content.ips.truncate(index));
    }
    mistake("names missing", &|content| content.uris.clear());
    mistake("names added", &|content| content.dns.push("evil.example.com".to_owned()));
    for index in 0..right.usages.len() {
        mistake("usages missing", &|content| drop(content.usages.remove(index)));
    }
    mistake("usages added", &|content| content.usages.push("timestamping".to_owned()));
    mistake("isCA", &|content| content.is_ca = !content.is_ca);
    mistake("too long", &|content| content.lifetime += SignedDuration::from_secs(1));
    mistake("not yet valid", &|content| content.not_before += SignedDuration::from_secs(1));
    mistake("expired", &|content| content.not_before -= content.lifetime);
    mistake("past renewal", &|content| content.not_before -= content.lifetime * 2 / 3);
    mistake("reversed", &|content| {
        content.not_before += content.lifetime;
        content.lifetime = SignedDuration::ZERO;
    });
    wrong
}

fn word(difference: &Difference) -> &'static str {
    match difference {
        Difference::Subject { .. } | Difference::CommonName { .. } => "subject",
        Difference::NamesMissing { .. } => "names missing",
        Difference::NamesAdded { .. } => "names added",
        Difference::UsagesMissing { .. } => "usages missing",
        Difference::UsagesAdded { .. } => "usages added",
        Difference::IsCa { .. } => "isCA",
        Difference::Reversed { .. } => "reversed",
        Difference::NotYetValid { .. } => "not yet valid",
        Difference::Expired { .. } => "expired",
        Difference::TooLong { .. } => "too long",
        Difference::PastRenewal { .. } => "past renewal",
        Difference::Issuer { .. } => "issuer",
        Difference::Unreadable { .. } => "unreadable",
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_issued_as_asked_is_accepted_by_every_tolerance(content in any_content()) {
        for tolerance in [Tolerance::default(), strict(), lax()] {
            prop_assert_eq!(differences(&content, &content, &tolerance), []);
        }
    }

    #[test]
    fn every_single_mistake_is_refused_for_what_it_is(content in any_content()) {
        for (expected, wrong) in mistakes(&content) {
            let found = differences(&content, &wrong, &strict());
            let words: Vec<_> = found.iter().map(word).collect();
            prop_assert_eq!(&words, &[expected], "{:?}", wrong);
        }
    }
}

#[test]
fn several_mistakes_are_all_reported_at_once() {
    let wrong = change(|content| {
        content.common_name = Some("other.example.com".to_owned());
        content.dns = vec!["other.example.com".to_owned()];
        content.usages = vec!["digital signature".to_owned(), "client auth".to_owned()];
        content.is_ca = true;
        content.lifetime = SignedDuration::from_hours(8760);
    });
    let message = verdict(&content(), &wrong, &Tolerance::default()).unwrap_err().to_string();
    let serial = wrong.issued()[0].serial_hex();
    let (start, rest) = message.split_once(" is not what was asked for: ").unwrap();
    assert!(
        start.starts_with("certificate ") && start.len() == "certificate ".len() + serial.len(),
        "{start}"
    );
    assert_eq!(
        rest.split("; ").collect::<Vec<_>>(),
        [
            "common name: asked web.example.com, got subject CN=other.example.com,O=Example",
            "subject alternative names: asked DNS:web.example.com, DNS:www.example.com, got DNS:other.example.com, \
             IP:10.0.0.1, URI:spiffe://example.com/web, email:web@example.com",
            "subject alternative names: not asked, got DNS:other.example.com",
            "usages: asked server auth, got digital signature, client auth",
            "isCA: asked false, got true",
            "duration: asked 2160h and at most 1h more, got 8760h",
        ]
    );
}

#[test]
fn messages_stay_short_whatever_the_names_hold() {
    let wrong = change(|content| {
        content.dns = (0..2000).map(|n| format!("{}.{n}.example.com", "x".repeat(60))).collect();
    });
    let message = verdict(&content(), &wrong, &Tolerance::default()).unwrap_err().to_string();
    assert!(message.len() < 910, "{}", message.len());
    let odd =
        change(|content| content.common_name = Some("evil\n\u{202e}\u{0}\u{2028}\u{61c}name".to_owned()));
    let message = verdict(&content(), &odd, &Tolerance::default()).unwrap_err().to_string();
    assert!(message.contains("evil\\u{a}\\u{202e}\\u{0}\\u{2028}\\u{61c}name"), "{message}");
}

#[test]
fn a_pki_may_replace_the_subject_but_not_the_common_name() {
    let replaced = change(|content| content.organisation = Some("The PKI's customer".to_owned()));
    assert_eq!(differences(&content(), &replaced, &Tolerance::default()), []);
    let lower = change(|content| content.common_name = Some("WEB.example.com".to_owned()));
    assert_eq!(differences(&content(), &lower, &Tolerance::default()), []);
    let none = change(|content| content.common_name = None);
    assert_eq!(differences(&content(), &none, &Tolerance::default()).len(), 1);
    assert_eq!(differences(&none, &content(), &Tolerance::default()), [], "a common name nobody asked for");
}

#[test]
fn a_pki_may_add_the_common_name_to_the_names_and_nothing_else() {
    let asked = change(|content| content.dns = vec!["www.example.com".to_owned()]);
    let added =
        change(|content| content.dns = vec!["www.example.com".to_owned(), "WEB.example.com".to_owned()]);
    assert_eq!(differences(&asked, &added, &Tolerance::default()), []);
    let exact = Tolerance { subject_alt_names: SanTolerance::Exact, ..Tolerance::default() };
    assert_eq!(differences(&asked, &added, &exact).len(), 1);

    let more = change(|content| content.dns.push("more.example.com".to_owned()));
    assert_eq!(differences(&content(), &more, &Tolerance::default()).len(), 1);
    let superset = Tolerance { subject_alt_names: SanTolerance::Superset, ..Tolerance::default() };
    assert_eq!(differences(&content(), &more, &superset), []);
    assert_eq!(differences(&more, &content(), &superset).len(), 1, "one is missing");

    let host = change(|content| content.common_name = Some("10.1.2.3".to_owned()));
    let mut with_ip = host.clone();
    with_ip.ips.push("10.1.2.3".parse().unwrap());
    assert_eq!(differences(&host, &with_ip, &Tolerance::default()), []);
}

#[test]
fn names_are_compared_as_names() {
    let upper = change(|content| {
        content.dns = vec!["WWW.example.COM".to_owned(), "Web.Example.com".to_owned()];
        content.emails = vec!["web@EXAMPLE.com".to_owned()];
    });
    assert_eq!(differences(&content(), &upper, &strict()), []);
    let path = change(|content| content.uris = vec!["spiffe://example.com/WEB".to_owned()]);
    assert_eq!(differences(&content(), &path, &Tolerance::default()).len(), 2);
    let local = change(|content| content.emails = vec!["WEB@example.com".to_owned()]);
    assert_eq!(differences(&content(), &local, &Tolerance::default()).len(), 2);
}

#[test]
fn usages_may_be_more_but_not_less() {
    let with = |words: &[&str]| {
        change(|content| content.usages = words.iter().map(|&word| word.to_owned()).collect())
    };
    let asked = with(&["digital signature", "key encipherment", "server auth"]);
    for fine in [
        ["digital signature", "key encipherment", "server auth", "client auth"].as_slice(),
        &["digital signature", "server auth"], // key encipherment means nothing to an EC key
        &["digital signature", "any"],
        &["digital signature"], // no extended key usage at all
        &["server auth"],       // no key usage at all
        &[],
    ] {
        assert_eq!(differences(&asked, &with(fine), &Tolerance::default()), [], "{fine:?}");
    }
    for wrong in [["digital signature", "client auth"].as_slice(), &["key encipherment", "server auth"]] {
        assert_eq!(differences(&asked, &with(wrong), &Tolerance::default()).len(), 1, "{wrong:?}");
    }
}

#[test]
fn key_encipherment_is_asked_of_rsa_keys() {
    let issued = change(|content| content.usages = vec!["digital signature".to_owned()]);
    for (key, expected) in [("rsa2048", ["key encipherment"].as_slice()), ("p256-sha256", &[])] {
        let csr = fixtures::csr(key);
        let mut asked = issued.asked(&csr);
        asked.usages = Usages::default_for_leaf();
        let lenient = Tolerance { usages: UsageTolerance::Superset, ..lax() };
        let answer = issued.issued_for(&csr);
        let found = match judge(&asked, &lenient, answer, Vec::new()) {
            Ok(_) => Vec::new(),
            Err(Mismatch::Certificate { differences, .. }) => differences,
            Err(other) => panic!("{other}"),
        };
        let missing: Vec<_> = found
            .iter()
            .flat_map(|difference| match difference {
                Difference::UsagesMissing { missing, .. } => missing.clone(),
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(missing, expected, "{key}");
    }
}

#[test]
fn a_ca_must_be_able_to_sign() {
    let asked = change(|content| content.is_ca = true);
    let without = differences(&asked, &asked, &Tolerance::default());
    assert!(
        matches!(without.as_slice(), [Difference::UsagesMissing { missing, .. }] if missing == &["cert sign"])
    );
}

#[test]
fn validity_may_be_clipped_backdated_and_a_little_ahead() {
    let lasting = |ahead: i64, hours: i64| {
        change(|content| {
            content.not_before = now() + SignedDuration::from_mins(ahead);
            content.lifetime = SignedDuration::from_hours(hours);
        })
    };
    for (ahead, hours, expected) in [
        (0, 2160, None),
        (-60, 2161, None),
        (5, 2160, None),
        (0, 24, None),
        (0, 2162, Some("too long")),
        (6, 2160, Some("not yet valid")),
        (-2 * 24 * 60, 72, Some("past renewal")),
        (-2 * 24 * 60 + 1, 72, None),
        (-3 * 24 * 60, 72, Some("expired")),
    ] {
        let found = differences(&content(), &lasting(ahead, hours), &Tolerance::default());
        assert_eq!(found.first().map(word), expected, "{ahead} minutes ahead, {hours} hours: {found:?}");
        assert!(found.len() <= 1, "{found:?}");
    }
    let any = Tolerance {
        validity: ValidityTolerance { longer_by: None, ..ValidityTolerance::default() },
        ..Tolerance::default()
    };
    assert_eq!(differences(&content(), &lasting(0, 1_000_000), &any), []);
}

#[test]
fn nothing_tolerates_another_key_or_an_expired_certificate() {
    let other_key = change(|content| content.ed25519 = true);
    let error = verdict(&content(), &other_key, &lax()).unwrap_err();
    assert!(matches!(error, Mismatch::Chain(_)), "{error}");
    let old = change(|content| content.not_before -= SignedDuration::from_hours(3000));
    assert_eq!(differences(&content(), &old, &lax()).iter().map(word).collect::<Vec<_>>(), ["expired"]);
    let ca = change(|content| content.is_ca = true);
    assert_eq!(differences(&content(), &ca, &lax()).iter().map(word).collect::<Vec<_>>(), ["isCA"]);
}

#[test]
fn what_openssl_issued_is_accepted_with_the_root_from_elsewhere() {
    let csr = fixtures::csr("p256-sha256");
    let answer = fixtures::certificates(["ec/upper", "ec/leaf", "ec/lower"]);
    let leaf: &Certificate = &answer[1];
    let asked = x509::Asked {
        csr: &csr,
        duration: 36500 * 24 * HOUR,
        usages: Usages::default_for_leaf(),
        is_ca: false,
        now: leaf.not_before(),
    };
    let extra = fixtures::certificates(["rsa/root", "ec/root"]);
    let chain = judge(&asked, &Tolerance::default(), answer, extra).unwrap();
    assert_eq!(chain.root, Some(fixtures::certificate("ec/root")));
}

#[test]
fn a_request_whose_names_cannot_be_read_is_answered_by_nothing() {
    let csr = fixtures::csr("odd-san-not-ascii");
    let asked = x509::Asked {
        csr: &csr,
        duration: HOUR,
        usages: Usages::default_for_leaf(),
        is_ca: false,
        now: now(),
    };
    let answer = fixtures::certificates(["ec/leaf"]);
    let error = judge(&asked, &lax(), answer, Vec::new()).unwrap_err();
    assert!(matches!(error, Mismatch::Request(_)), "{error}");
}

/// What is said of the chain above a leaf that is fine itself.
fn chain_verdict(asked: &Content, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Vec<String> {
    let csr = asked.csr();
    match judge(&asked.asked(&csr), &Tolerance::default(), asked.issued_below(change), Vec::new()) {
        Ok(_) => Vec::new(),
        Err(Mismatch::Certificate { differences, .. }) => {
            differences.iter().map(Difference::to_string).collect()
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn an_intermediate_that_cannot_carry_the_leaf_is_named() {
    use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose};

    let asked = content();
    let nothing: Vec<String> = Vec::new();
    assert_eq!(chain_verdict(&asked, |_| {}), nothing);
    assert_eq!(chain_verdict(&asked, |params| params.key_usages = Vec::new()), nothing, "no key usage");

    for absent in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        assert_eq!(
            chain_verdict(&asked, |params| params.is_ca = absent),
            ["issuer CN=issuing CA: it is not a CA"]
        );
    }
    assert_eq!(
        chain_verdict(&asked, |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]),
        ["issuer CN=issuing CA: its key usages do not allow it to sign certificates"]
    );
    let ca = change(|content| {
        content.is_ca = true;
        content.usages.push("cert sign".to_owned());
    });
    assert_eq!(
        chain_verdict(&ca, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        ["issuer CN=issuing CA: its path length allows 0 CAs below it, there are 1"]
    );
    assert_eq!(
        chain_verdict(&ca, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))),
        nothing
    );
    assert_eq!(
        chain_verdict(&ca, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        nothing
    );
}

#[test]
fn an_intermediate_must_be_valid_until_the_leaf_is_renewed() {
    let asked = content();
    let until = |hours: i64| {
        chain_verdict(&asked, |params| valid_until(params, now() + SignedDuration::from_hours(hours)))
    };
    // Two thirds of the 2,160 hours.
    assert_eq!(until(1440), Vec::<String>::new());
    assert_eq!(
        until(1439),
        [
            "issuer CN=issuing CA: its notAfter 2027-01-23T11:00:00Z comes before the certificate's renewal at \
             2027-01-23T12:00:00Z"
        ]
    );
    assert_eq!(
        until(0),
        ["issuer CN=issuing CA: its notAfter 2026-11-24T12:00:00Z has passed, it is 2026-11-24T12:00:00Z"]
    );
    let from = |minutes: i64| {
        chain_verdict(&asked, |params| valid_from(params, now() + SignedDuration::from_mins(minutes)))
    };
    assert_eq!(from(5), Vec::<String>::new());
    assert_eq!(
        from(6),
        [
            "issuer CN=issuing CA: its notBefore 2026-11-24T12:06:00Z is ahead of our clock 2026-11-24T12:00:00Z"
        ]
    );
}

#[test]
fn an_expired_intermediate_from_elsewhere_completes_nothing_and_harms_nothing() {
    let asked = content();
    let csr = asked.csr();
    let mut answer = asked.issued_below(|params| valid_until(params, now() - SignedDuration::from_hours(1)));
    let known = answer.split_off(1);
    let chain = judge(&asked.asked(&csr), &Tolerance::default(), answer, known).unwrap();
    assert_eq!((chain.intermediates, chain.root), (Vec::new(), None));
}
