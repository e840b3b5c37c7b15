//! What a real API server made of custom resources under schemas and rules, against what this one makes of them.
//!
//! The requests and answers are in `fixtures/kubernetes/validate`: the product's own kinds, and one that uses
//! what a schema can say.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fixture that is not as it should be fails the test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sim_kube::Failure;
use sim_kube::patch::merge_patch;
use sim_kube::schema::Schema;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The schema of a kind: of the product's own CRDs, or of the recorded one.
fn schema(kind: &str) -> Schema {
    let product = std::fs::read_to_string(root().join("deploy/crds/external-issuer.io.yaml")).unwrap();
    let mut crds: Vec<Value> = product
        .split("\n---\n")
        .filter_map(|document| serde_saphyr::from_str(document).ok())
        .filter(Value::is_object)
        .collect();
    crds.push(read(&root().join("fixtures/kubernetes/validate/crd.json")));
    let crd = crds.iter().find(|crd| crd["spec"]["names"]["kind"] == kind).unwrap();
    Schema::custom_resource(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]).unwrap()
}

/// What the server does with a write before it is stored.
fn write(schema: &Schema, kind: &str, live: Option<&Value>, request: &Value) -> Result<Value, Failure> {
    let mut new = match live {
        Some(live) => merge_patch(live, &request["body"])?,
        None => request["body"].clone(),
    };
    schema.drop_nulls(&mut new);
    schema.default(&mut new);
    let unknown = schema.prune(&mut new);
    if request["query"]["fieldValidation"] == "Strict" && !unknown.is_empty() {
        let unknown: Vec<String> = unknown.iter().map(|field| format!("unknown field \"{field}\"")).collect();
        let version = new["apiVersion"].as_str().unwrap().split('/').next_back().unwrap();
        return Err(Failure::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {}",
            unknown.join(", ")
        )));
    }
    let causes = if request["path"].as_str().unwrap().ends_with("/status") {
        schema.validate_status(&new, live)
    } else {
        schema.validate(&new, live)
    };
    if causes.is_empty() {
        return Ok(new);
    }
    let group = new["apiVersion"].as_str().unwrap().split('/').next().unwrap().to_owned();
    Err(Failure::invalid(&group, kind, new["metadata"]["name"].as_str().unwrap(), causes))
}

/// The server names faults in no order.
fn comparable(answer: &Value) -> Value {
    if answer["kind"] != "Status" {
        return json!({"spec": answer["spec"], "status": answer["status"]});
    }
    let causes = answer.pointer("/details/causes").and_then(Value::as_array).into_iter().flatten();
    let causes: BTreeSet<String> = causes.map(Value::to_string).collect();
    let message = if causes.len() < 2 { answer["message"].clone() } else { Value::Null };
    json!({"code": answer["code"], "reason": answer["reason"], "message": message, "causes": causes})
}

#[test]
fn recorded_objects_are_judged_as_a_real_server_judged_them() {
    let mut wrong = Vec::new();
    for (file, kind) in
        [("issuer", "ExternalIssuer"), ("cluster-issuer", "ExternalClusterIssuer"), ("gizmo", "Gizmo")]
    {
        let schema = schema(kind);
        let sequence = read(&root().join(format!("fixtures/kubernetes/validate/{file}.json")));
        let mut live: Option<Value> = None;
        for step in sequence["steps"].as_array().unwrap() {
            let outcome = write(&schema, kind, live.as_ref(), &step["request"]);
            let got = match &outcome {
                Ok(object) => object.clone(),
                Err(failure) => failure.to_value(),
            };
            let (got, wanted) = (comparable(&got), comparable(&step["answer"]["body"]));
            if got != wanted {
                wrong.push(format!("{file}, {}:\n  wanted {wanted}\n  got    {got}", step["why"]));
            }
            if step["answer"]["code"].as_u64().unwrap() < 300 {
                live = Some(outcome.unwrap_or_else(|_| step["answer"]["body"].clone()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
