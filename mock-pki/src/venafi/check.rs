//! `Certificates/CheckPolicy`: the rules of a folder, and how a CSR stands to them.

use serde_json::{Value, json};

use crate::{
    sync::lock,
    venafi::{
        State,
        answer::{Answer, Refusal},
        dn::Dn,
        fields::Fields,
        policy::{Asked, Policy, SUBJECT},
        request::read_csr,
    },
};

pub(crate) fn check_policy(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    let text = fields.needed("PolicyDN")?;
    let tree = lock(&state.tree);
    let policy = Dn::parse(text).and_then(|dn| Policy::of(&tree, &dn));
    let policy = policy.ok_or_else(|| Refusal::bad(format!("PolicyDN: {text} does not exist")))?;
    let mut body = json!({ "Error": null, "Policy": policy.describe() });
    if let Some(pem) = fields.text("PKCS10")? {
        let csr = compliance(&policy, &Asked::of(&read_csr(pem)?));
        if let Value::Object(map) = &mut body {
            map.insert("CSR".to_owned(), csr);
        }
    }
    Ok(Answer::ok(body))
}

fn compliance(policy: &Policy, asked: &Asked) -> Value {
    let violated = policy.violations(asked);
    let judged = |name: &str, value: Value| json!({ "Compliant": !violated.contains(&name), "Value": value });
    let mut details = serde_json::Map::new();
    details.insert("CommonName".to_owned(), judged("Common Name", json!(asked.common_name)));
    for (attribute, short) in SUBJECT {
        let own: Vec<&String> =
            asked.subject.iter().filter(|(name, _)| name == short).map(|(_, value)| value).collect();
        let value = if attribute == "Organizational Unit" { json!(own) } else { json!(own.first()) };
        details.insert(attribute.replace(' ', ""), judged(attribute, value));
    }
    let names: Vec<String> = asked.names.iter().map(ToString::to_string).collect();
    details.insert("SubjAltName".to_owned(), judged("Subject Alternative Name", json!(names)));
    json!({ "Details": details, "Enrollable": violated.is_empty() })
}
