//! Who may import what: the table in docs/architecture.md, read off the sources.
//!
//! A `use` line is resolved to a full path (`super::patch` in `src/decide/request.rs` is `crate::decide::patch`)
//! and compared with the rules of the places that the file is in. A banned path is found in the code too, where
//! somebody writes `tokio::time::sleep(…)` without importing it. Test modules at the end of a file, and files
//! that are only tests, are free: they may look at anything.

#![expect(clippy::expect_used, reason = "a file of the checkout that cannot be read is a failed test")]

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What holds in a place.
struct Rule {
    /// The place: a file, or a folder with all that is in it.
    place: &'static str,
    /// Files and folders in it that are free.
    except: &'static [&'static str],
    /// Of our own crate, only these; anything when `None`.
    own: Option<&'static [&'static str]>,
    /// None of these, as imports or in the code.
    not: &'static [&'static str],
    /// Why.
    because: &'static str,
}

const CLIENT: &[&str] = &[
    "kube::Api",
    "kube::Client",
    "kube::Config",
    "kube::api",
    "kube::client",
    "kube::config",
    "kube::discovery",
    "kube::runtime",
];
const NET: &[&str] = &["axum", "http", "hyper", "reqwest", "rustls", "tower"];
const SOCKETS: &[&str] = &["TcpListener", "TcpStream", "ToSocketAddrs", "UdpSocket"];
const ASYNC: &[&str] = &["async", "await", "futures", "tokio", "tokio_util"];
const BACKENDS: &[&str] = &["crate::signer::mockca", "crate::signer::vault"];

/// One entry for each row of the table, and for each promise in a module's own documentation.
#[expect(clippy::too_many_lines, reason = "a table")]
fn rules() -> Vec<Rule> {
    let of = |lists: &[&[&'static str]]| -> &'static [&'static str] { lists.concat().leak() };
    let rule = |place, because| Rule { place, except: &[], own: None, not: &[], because };
    vec![
        Rule {
            own: Some(&["crate::api"]),
            not: of(&[CLIENT, NET, ASYNC, &["tracing"]]),
            ..rule("src/api", "typed resources are pure data")
        },
        Rule {
            own: Some(&["crate::api", "crate::config"]),
            // `reqwest::Url` is how a URL is read.
            not: of(&[
                &["kube", "tracing", "axum", "hyper", "reqwest::Client", "reqwest::Response"],
                SOCKETS,
                ASYNC,
            ]),
            ..rule("src/config", "the document is parsed by pure functions")
        },
        Rule {
            own: Some(&[
                "crate::api",
                "crate::config",
                "crate::decide",
                "crate::signer::outcome",
                "crate::signer::submission",
                // What a signer is handed: data, made by a decision.
                "crate::signer::Order",
                "crate::signer::RequestIdentity",
            ]),
            not: of(&[
                CLIENT,
                NET,
                ASYNC,
                &[
                    "tracing",
                    "rand",
                    "aws_lc_rs",
                    "std::env",
                    "std::fs",
                    "std::net",
                    "std::process",
                    "std::thread",
                ],
                &["Instant", "SystemTime", "Timestamp::now", "Zoned::now"],
            ]),
            ..rule(
                "src/decide",
                "a decision is a value of what it was given: no await, clock, client, log or chance",
            )
        },
        Rule {
            own: Some(&["crate::api", "crate::clock", "crate::config", "crate::signer"]),
            not: &["kube", "axum"],
            ..rule("src/signer", "a signer knows the PKI and nothing of the cluster or of the rules")
        },
        Rule {
            not: of(&[BACKENDS, &["crate::signer::registry"]]),
            except: &[
                "src/signer/registry.rs",
                "src/signer/registry",
                "src/signer/mockca.rs",
                "src/signer/mockca",
                "src/signer/vault.rs",
                "src/signer/vault",
            ],
            ..rule("src/signer", "only the registry knows the backends")
        },
        Rule {
            not: &["crate::signer::vault", "crate::signer::registry"],
            ..rule("src/signer/mockca.rs", "no backend knows another")
        },
        Rule {
            not: &["crate::signer::mockca", "crate::signer::registry"],
            ..rule("src/signer/vault.rs", "no backend knows another")
        },
        Rule {
            not: &["crate::signer::mockca", "crate::signer::registry"],
            ..rule("src/signer/vault", "no backend knows another")
        },
        Rule {
            not: &[
                "kube::api::Patch",
                "kube::api::PatchParams",
                "StatusPatch",
                "crate::controller::status",
                "crate::signer",
            ],
            ..rule("src/controller/load.rs", "loading only reads")
        },
        Rule {
            not: &[
                "crate::signer",
                "crate::decide::conclude",
                "crate::decide::decide",
                "crate::decide::issuer",
                "crate::decide::request",
                "crate::decide::retry",
            ],
            ..rule(
                "src/controller/status.rs",
                "the one writer of status writes what was decided and decides nothing",
            )
        },
        Rule { not: &["std::time::Instant"], ..rule("src", "tokio's Instant can be turned by a test") },
        Rule {
            own: Some(&["crate::lease"]),
            // Not tokio: its `Instant` is the type that the elector measures with.
            not: &["async", "await", "futures", "kube::Api", "kube::Client", "tracing", "Instant::now"],
            ..rule("src/lease/rules.rs", "the rules of election are pure")
        },
        Rule {
            not: &["mock_pki", "e2e", "sim_kube", "sim_cert_manager", "sim_stage"],
            ..rule("src", "the program never links the mock server or a simulator")
        },
        Rule {
            not: of(&[&["external_issuer", "kube", "tracing", "std::fs", "std::env"], SOCKETS, NET, ASYNC]),
            ..rule("crates/x509/src", "reading X.509 is pure and shared")
        },
        Rule {
            not: of(&[&["external_issuer", "kube", "tracing", "std::fs", "std::env"], SOCKETS, NET, ASYNC]),
            ..rule("crates/ca/src", "issuing is pure")
        },
        Rule {
            not: &["external_issuer", "kube", "k8s_openapi"],
            ..rule("mock-pki/src", "the two sides never share wire types, and a PKI knows no Kubernetes")
        },
        Rule {
            except: &[
                // The two skins, what they share, and the program.
                "crates/sim-kube/src/client.rs",
                "crates/sim-kube/src/server.rs",
                "crates/sim-kube/src/https.rs",
                "crates/sim-kube/src/https",
                "crates/sim-kube/src/bin",
            ],
            not: of(&[
                &["external_issuer", "mock_pki", "kube", "tracing", "std::fs", "std::env"],
                SOCKETS,
                ASYNC,
            ]),
            ..rule("crates/sim-kube/src", "the simulated API server's core is a function")
        },
        Rule {
            not: &["external_issuer", "mock_pki", "sim_kube", "e2e"],
            ..rule("crates/sim-cert-manager/src", "cert-manager knows no issuer, and runs on any cluster")
        },
        Rule {
            not: &[
                "crate::arm",
                "crate::process",
                "std::process",
                "tokio::process",
                "kube::Client",
                "kube::Config",
            ],
            ..rule("e2e/src/scenario", "a scenario sees only the world: every cluster runs it")
        },
    ]
}

/// One import, or a mention in the code, that a rule forbids.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    file: String,
    line: usize,
    path: String,
    because: &'static str,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.path, self.because)
    }
}

/// The breaches of one file's text.
fn breaches(file: &str, text: &str, rules: &[Rule]) -> Vec<Breach> {
    let code = without_comments_and_tests(text);
    let imports = imports(&code, &module(file));
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| rule.covers(file)) {
        let mut add = |line, path: &str| {
            found.push(Breach { file: file.to_owned(), line, path: path.to_owned(), because: rule.because });
        };
        for (line, path) in &imports {
            let foreign = rule.own.is_some_and(|own| {
                path.starts_with("crate::") && !own.iter().any(|allowed| is_in(path, allowed))
            });
            if foreign || rule.not.iter().any(|banned| is_in(path, banned)) {
                add(*line, path);
            }
        }
        for (index, line) in code.lines().enumerate().filter(|(_, line)| !is_use(line)) {
            for banned in rule.not.iter().filter(|banned| mentions(line, banned)) {
                add(index + 1, banned);
            }
        }
    }
    found
}

impl Rule {
    fn covers(&self, file: &str) -> bool {
        lies_in(file, self.place) && !self.except.iter().any(|except| lies_in(file, except))
    }
}

fn lies_in(file: &str, place: &str) -> bool {
    file.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `a::b::C` is in `a::b`, `a::bc` is not.
fn is_in(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_use(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("use ") || (line.starts_with("pub") && line.contains(" use "))
}

/// Whether the code speaks of this path: a keyword or type as a whole word, a crate or module before `::`.
fn mentions(line: &str, banned: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let is_crate = !banned.contains("::")
        && !["async", "await"].contains(&banned)
        && banned.chars().next().is_some_and(char::is_lowercase);
    line.match_indices(banned).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let after = line.get(at + banned.len()..).unwrap_or_default();
        // `self::http::`, `super::http::` and `x.http` are others of the same name.
        let starts = !(before.ends_with(word) || is_crate && before.ends_with([':', '.']));
        starts && if is_crate { after.starts_with("::") } else { !after.starts_with(word) }
    })
}

/// The text with its line breaks, up to a test module at its end.
fn without_comments_and_tests(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_test_module = |index: usize| {
        lines.get(index).is_some_and(|line| *line == "#[cfg(test)]")
            && lines.get(index + 1).is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let end = (0..lines.len()).find(|&index| is_test_module(index)).unwrap_or(lines.len());
    let code = lines.iter().take(end).map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

/// The module path of a file of the root package; of another, only its own folders.
fn module(file: &str) -> Vec<String> {
    let inside = file.split_once("src/").map_or(file, |(_, inside)| inside);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let names = inside.split('/').filter(|name| !["mod", "lib", "main"].contains(name));
    std::iter::once("crate").chain(names).map(str::to_owned).collect()
}

/// Every path that is imported, in full, with its line.
fn imports(code: &str, module: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = code.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if !is_use(line) {
            continue;
        }
        let mut statement = line.trim().to_owned();
        while !statement.ends_with(';') {
            let Some((_, next)) = lines.next() else { break };
            statement.push_str(next.trim());
        }
        let tree = statement.split_once("use ").map_or("", |(_, tree)| tree).trim_end_matches(';');
        found.extend(expand(tree).iter().map(|path| (index + 1, absolute(path, module))));
    }
    found
}

/// `a::{b, c::{d, self}}` is `a::b`, `a::c::d` and `a::c`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        return vec![path.strip_suffix("::self").unwrap_or(path).to_owned()];
    };
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let whole = |part: &String| expand(&format!("{prefix}{}", part.trim()));
    parts.iter().filter(|part| !part.trim().is_empty()).flat_map(whole).collect()
}

/// Without `self::` and `super::`.
fn absolute(path: &str, module: &[String]) -> String {
    let mut base = module.to_vec();
    let mut rest = path;
    let mut relative = false;
    loop {
        if let Some(after) = rest.strip_prefix("super::") {
            base.pop();
            (rest, relative) = (after, true);
        } else if let Some(after) = rest.strip_prefix("self::") {
            (rest, relative) = (after, true);
        } else if relative {
            return format!("{}::{rest}", base.join("::"));
        } else {
            return rest.to_owned();
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the places that rules speak of, with its path from the root. Files of tests are left out.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let folders = [
        "src",
        "crates/x509/src",
        "crates/ca/src",
        "crates/sim-kube/src",
        "crates/sim-cert-manager/src",
        "mock-pki/src",
        "e2e/src/scenario",
    ];
    for folder in folders {
        collect(&root().join(folder), &mut files);
    }
    files.sort();
    let named = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file");
        let name = path.strip_prefix(root()).expect("a path below the root").to_string_lossy().into_owned();
        (name, text)
    };
    files.into_iter().map(named).filter(|(name, _)| !is_test_file(name)).collect()
}

/// A file whose module is declared under `#[cfg(test)]`.
fn is_test_file(name: &str) -> bool {
    let path = root().join(name);
    let (Some(stem), Some(folder)) = (path.file_stem().and_then(|stem| stem.to_str()), path.parent()) else {
        return false;
    };
    let declaration = format!("#[cfg(test)]\nmod {stem};");
    let declared_crate_wide = format!("#[cfg(test)]\npub(crate) mod {stem};");
    [folder.join("mod.rs"), folder.join("lib.rs"), folder.with_extension("rs")].iter().any(|parent| {
        fs::read_to_string(parent)
            .is_ok_and(|text| text.contains(&declaration) || text.contains(&declared_crate_wide))
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn every_file_keeps_to_its_layer() {
    let (sources, rules) = (sources(), rules());
    let found: Vec<String> = sources
        .iter()
        .flat_map(|(file, text)| breaches(file, text, &rules))
        .map(|breach| breach.to_string())
        .collect();
    assert!(found.is_empty(), "{} imports cross a layer:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_rule_is_about_files_that_exist() {
    let sources = sources();
    for rule in rules() {
        assert!(sources.iter().any(|(file, _)| rule.covers(file)), "no file lies in {}", rule.place);
    }
}

#[test]
fn the_program_links_no_mock_and_no_simulator() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal", "--package", "external-issuer"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo tree");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(tree.contains("external-issuer-x509"), "the tree is not what it should be:\n{tree}");
    let banned = ["mock-pki", "sim-", "e2e", "playground"];
    let linked: Vec<&str> =
        tree.lines().filter(|line| banned.iter().any(|name| line.starts_with(name))).collect();
    assert!(linked.is_empty(), "the program links {linked:?}: move them to the dev-dependencies");
}

#[test]
fn a_line_that_crosses_a_layer_is_found() {
    let table = [
        ("src/decide/request.rs", "use tokio::time::sleep;", Some("tokio::time::sleep")),
        ("src/decide/request.rs", "use crate::{api, clock::Clock};", Some("crate::clock::Clock")),
        ("src/decide/request.rs", "use super::super::controller::load;", Some("crate::controller::load")),
        ("src/decide/request.rs", "pub(crate) async fn decide() {}", Some("async")),
        ("src/decide/request.rs", "    let now = jiff::Timestamp::now();", Some("Timestamp::now")),
        ("src/decide/request.rs", "    tracing::info!(\"decided\");", Some("tracing")),
        ("src/decide/request.rs", "use super::patch;\nuse crate::api::IssuerKey;\n// tokio::spawn", None),
        ("src/decide/request.rs", "#[cfg(test)]\nmod tests {\n    use tokio::time;\n}", None),
        ("src/decide/request.rs", "#[cfg(test)]\nmod tests;\nuse tokio::time;", Some("tokio::time")),
        ("src/api/issuer.rs", "use kube::{CustomResource,\n    Client};", Some("kube::Client")),
        ("src/api/issuer.rs", "use kube::{CustomResource, KubeSchema};", None),
        (
            "src/signer/vault/api.rs",
            "use super::super::mockca::MockCa;",
            Some("crate::signer::mockca::MockCa"),
        ),
        ("src/signer/http.rs", "use super::vault;", Some("crate::signer::vault")),
        ("src/signer/vault/api.rs", "use super::login::Token;\nuse super::super::http::Call;", None),
        ("src/controller/load.rs", "use kube::api::{Api, Patch};", Some("kube::api::Patch")),
        (
            "src/controller/status.rs",
            "use crate::decide::{StatusPatch, decide};",
            Some("crate::decide::decide"),
        ),
        ("src/run.rs", "    let pki = mock_pki::start();", Some("mock_pki")),
        ("src/controller/request.rs", "use std::time::{Duration, Instant};", Some("std::time::Instant")),
        ("e2e/src/scenario/late.rs", "use crate::{arm::Local, world::World};", Some("crate::arm::Local")),
        ("mock-pki/src/vault.rs", "use external_issuer::signer;", Some("external_issuer::signer")),
    ];
    for (file, text, expected) in table {
        let found = breaches(file, text, &rules());
        assert_eq!(found.first().map(|breach| breach.path.as_str()), expected, "{file}: {text}: {found:?}");
    }
}

#[test]
fn a_breach_says_where_what_and_why() {
    let found = breaches("src/api/issuer.rs", "\nuse tracing::info;", &rules());
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["src/api/issuer.rs:2: tracing::info: typed resources are pure data"]);
}
