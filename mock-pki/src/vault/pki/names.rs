//! Which names a role allows: Vault's rules, in Vault's order.

use crate::vault::{error::Refusal, pki::role::Rules};

/// The first name that is not allowed.
pub(crate) fn first_forbidden<'a>(rules: &Rules, names: &'a [String]) -> Option<&'a str> {
    names.iter().map(String::as_str).find(|name| !allowed(rules, name))
}

/// The common name has its own switch (`cn_validations`).
pub(crate) fn allows_common_name(rules: &Rules, name: &str) -> bool {
    let off = rules.cn_validations.iter().any(|validation| validation == "disabled");
    off || allowed(rules, name)
}

fn allowed(rules: &Rules, name: &str) -> bool {
    let (email, host) = match name.split_once('@') {
        Some((_, host)) if host.contains('@') => return false,
        Some((_, host)) => (true, host),
        None => (false, name),
    };
    let Some((wildcard, host)) = split_wildcard(host) else { return false };
    if wildcard.is_some() && !rules.allow_wildcard_certificates {
        return false;
    }
    if rules.enforce_hostnames {
        let hostname = host.is_empty() || is_hostname(host);
        if !hostname || wildcard.is_some_and(|label| !is_wildcard_label(label)) {
            return false;
        }
    }
    if rules.allow_any_name {
        return true;
    }
    if rules.allow_localhost && is_local(rules, host) {
        return true;
    }
    rules.allowed_domains.iter().any(|domain| in_domain(rules, domain, name, host, email, wildcard.is_some()))
}

fn in_domain(rules: &Rules, domain: &str, name: &str, host: &str, email: bool, wildcard: bool) -> bool {
    if domain.is_empty() {
        return false;
    }
    let bare = name.eq_ignore_ascii_case(domain) || (email && host.eq_ignore_ascii_case(domain));
    let below = || {
        let (host, suffix) = (host.to_ascii_lowercase(), format!(".{}", domain.to_ascii_lowercase()));
        host.ends_with(&suffix) || (wildcard && host.eq_ignore_ascii_case(domain))
    };
    (rules.allow_bare_domains && bare)
        || (rules.allow_subdomains && below())
        || (rules.allow_glob_domains && domain.contains('*') && glob(domain, name))
}

fn is_local(rules: &Rules, host: &str) -> bool {
    const LOCAL: [&str; 2] = ["localhost", "localdomain"];
    LOCAL.contains(&host)
        || (rules.allow_subdomains
            && LOCAL.iter().any(|local| host.strip_suffix(local).is_some_and(|rest| rest.ends_with('.'))))
}

/// The wildcard label and the rest. `None` when an asterisk is where none may be.
fn split_wildcard(name: &str) -> Option<(Option<&str>, &str)> {
    if !name.contains('*') {
        return Some((None, name));
    }
    let (label, rest) = name.split_once('.')?;
    let sound = label.matches('*').count() == 1 && !rest.contains('*') && !rest.is_empty();
    sound.then_some((Some(label), rest))
}

fn is_wildcard_label(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'*')
}

/// Vault's `hostnameRegex`: labels of letters, digits and hyphens; a trailing dot is allowed.
pub(crate) fn is_hostname(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    !name.is_empty() && name.len() <= 253 && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    label.len() <= 63
        && edge(label.bytes().next())
        && edge(label.bytes().next_back())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A name as a DNS name for the certificate: `None` when it is none, an error when a label is too long, as
/// Go's idna says it. Names beyond ASCII are not converted here.
pub(crate) fn as_dns_name(name: &str) -> Result<Option<String>, Refusal> {
    let long = name.split('.').find(|label| label.len() > 63);
    if let Some(label) = long {
        return Err(Refusal::bad(format!("idna: invalid label {}", crate::vault::fields::quoted(label))));
    }
    let without_wildcard = name.strip_prefix("*.").unwrap_or(name);
    Ok(is_hostname(without_wildcard).then(|| name.to_owned()))
}

/// ryanuber/go-glob: `*` stands for any text.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{fields::Fields, pki::role::Role};

    fn rules(json: serde_json::Value) -> Rules {
        let serde_json::Value::Object(map) = json else { panic!("an object") };
        Role::read(&Fields::new(map)).unwrap().rules
    }

    #[test]
    fn names_follow_vaults_rules() {
        let sub = serde_json::json!({ "allowed_domains": "example.com", "allow_subdomains": true });
        let bare = serde_json::json!({ "allowed_domains": "example.com", "allow_bare_domains": true });
        let glob = serde_json::json!({ "allowed_domains": "a*.example.com", "allow_glob_domains": true });
        let any = serde_json::json!({ "allow_any_name": true });
        let loose = serde_json::json!({ "allow_any_name": true, "enforce_hostnames": false });
        let strict = serde_json::json!({ "allow_any_name": true, "allow_wildcard_certificates": false });
        for (role, name, expected) in [
            (&sub, "app.example.com", true),
            (&sub, "a.b.example.com", true),
            (&sub, "example.com", false),
            (&sub, "*.example.com", true),
            (&sub, "evilexample.com", false),
            (&sub, "evil.org", false),
            (&sub, "localhost", true),
            (&sub, "x.localhost", true),
            (&sub, "u@example.com", false),
            (&sub, "u@mail.example.com", true),
            (&bare, "example.com", true),
            (&bare, "u@example.com", true),
            (&bare, "app.example.com", false),
            (&glob, "abc.example.com", true),
            (&glob, "bcd.example.com", false),
            (&any, "anything.at.all", true),
            (&any, "not a name", false),
            (&any, "*.*.example.com", false),
            (&any, "my_host.example.com", false),
            (&any, "*.my_host.example.com", false),
            (&loose, "my_host.example.com", true),
            (&loose, "not a name", true),
            (&strict, "*.example.com", false),
        ] {
            assert_eq!(allowed(&rules(role.clone()), name), expected, "{name} under {role}");
        }
    }

    #[test]
    fn a_glob_matches_from_end_to_end() {
        for (pattern, text, expected) in [
            ("*", "x", true),
            ("spiffe://*/ns/*", "spiffe://a/ns/b", true),
            ("spiffe://a/*", "spiffe://b/x", false),
            ("a", "ab", false),
            ("a*c", "abd", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
