//! What a real API server answered to sequences of writes, against what this one makes of them.
//!
//! The sequences are in `fixtures/kubernetes/apply`. Here they run against the pure functions, with as much of a
//! server around them as it takes; steps that a verb refuses before it looks at fields are left to the server's
//! own tests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a fixture that is not as it should be fails the test"
)]

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sim_kube::Failure;
use sim_kube::apply::{Scope, keep_times};
use sim_kube::patch::merge_patch;
use sim_kube::schema::{Components, Schema};

/// Steps that end before fields matter.
const OF_THE_VERBS: [&str; 4] =
    ["no field manager", "another name", "status of what is not there", "with a stale resourceVersion"];

struct World {
    schema: Schema,
    api_version: &'static str,
    kind: &'static str,
    /// The kind has a `status` that is a subresource.
    status: bool,
    live: Option<Value>,
    revision: u32,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/kubernetes")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn widgets() -> World {
    let crd = read(&fixtures().join("apply/crd.json"));
    let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap();
    let schema = Schema::custom_resource(schema).unwrap();
    World { schema, api_version: "example.com/v1", kind: "Widget", status: true, live: None, revision: 0 }
}

fn secrets() -> World {
    let file = std::fs::File::open(fixtures().join("openapi-core.json.gz")).unwrap();
    let mut document = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut document).unwrap();
    let components = Components::parse(&serde_json::from_str(&document).unwrap()).unwrap();
    let schema = components.schema("io.k8s.api.core.v1.Secret").unwrap();
    World { schema, api_version: "v1", kind: "Secret", status: false, live: None, revision: 0 }
}

impl World {
    /// One step: the object that the server would answer with, or its failure as a `metav1.Status`.
    fn step(&mut self, at: usize, request: &Value) -> Value {
        let text = |pointer: &str| request.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let subresource = if text("/path").ends_with("/status") { "status" } else { "" };
        let ignored: &[&str] = match (self.status, subresource) {
            (true, "status") => &["metadata", "spec"],
            (true, _) => &["status"],
            (false, _) => &[],
        };
        let scope = Scope {
            schema: &self.schema,
            api_version: self.api_version,
            kind: self.kind,
            subresource,
            ignored,
            now: format!("2026-01-01T00:01:{at:02}Z").parse().unwrap(),
        };
        let body = request.get("body").unwrap();
        let manager = text("/query/fieldManager");
        let live = self.live.as_ref();
        let outcome = match (text("/method"), text("/contentType")) {
            ("POST", _) => Ok(scope.track(None, body.clone(), manager)),
            ("PUT", _) => Ok(scope.track(live, body.clone(), manager)),
            ("PATCH", "application/merge-patch+json") => {
                merge_patch(live.unwrap(), body).map(|new| scope.track(live, new, manager))
            }
            ("PATCH", "application/apply-patch+yaml") => {
                scope.apply(live, body, manager, text("/query/force") == "true")
            }
            other => panic!("{other:?}"),
        };
        match outcome {
            Err(failure) => failure.to_value(),
            Ok(new) => self.store(new, subresource),
        }
    }

    /// What the server does between fields and store.
    fn store(&mut self, mut new: Value, subresource: &str) -> Value {
        let nothing = json!({"metadata": {}});
        let live = self.live.as_ref().unwrap_or(&nothing);
        if subresource == "status" {
            let mut whole = live.clone();
            whole["metadata"]["managedFields"] = new["metadata"]["managedFields"].take();
            match new.get("status") {
                Some(status) => whole["status"] = status.clone(),
                None => drop(whole.as_object_mut().unwrap().remove("status")),
            }
            new = whole;
        } else if self.status {
            match live.get("status") {
                Some(status) => new["status"] = status.clone(),
                None => drop(new.as_object_mut().unwrap().remove("status")),
            }
        }
        new["metadata"]["uid"] = json!("uid");
        if self.status {
            // A null that is applied is no value of a custom resource.
            let causes = self.schema.validate(&new, self.live.as_ref());
            if !causes.is_empty() {
                return Failure::invalid("example.com", self.kind, "w", causes).to_value();
            }
        }
        keep_times(live, &mut new);
        new["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        if self.live.as_ref() != Some(&new) {
            self.revision += 1;
            new["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        }
        self.live = Some(new.clone());
        new
    }
}

/// What of an answer is compared: of an object all but what the server alone writes, of a failure what it says.
fn comparable(mut answer: Value) -> Value {
    if answer["kind"] == "Status" {
        let causes = answer.pointer("/details/causes").and_then(Value::as_array);
        let causes: BTreeSet<String> = causes.into_iter().flatten().map(Value::to_string).collect();
        let reason = answer["reason"].as_str().unwrap_or_default();
        // Faults come in no order, and so does the message that joins them.
        let joined = reason == "Invalid" && causes.len() > 1;
        let message = if joined { Value::Null } else { answer["message"].clone() };
        return json!({"code": answer["code"], "reason": reason, "message": message, "causes": causes});
    }
    if let Some(metadata) = answer["metadata"].as_object_mut() {
        for name in ["uid", "creationTimestamp", "generation"] {
            metadata.remove(name);
        }
        if metadata.get("managedFields").is_some_and(Value::is_null) {
            metadata.remove("managedFields");
        }
    }
    // Defaulted by the verbs.
    if answer["kind"] == "Secret" && answer.get("type").is_none() {
        answer["type"] = json!("Opaque");
    }
    if answer["spec"] == Value::Object(Map::new()) {
        answer["spec"].take();
    }
    answer
}

#[test]
fn recorded_sequences_of_writes_end_as_a_real_server_ended_them() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(fixtures().join("apply"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json") && !path.ends_with("crd.json"))
        .collect();
    files.sort();
    assert!(files.len() > 12, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let sequence = read(&file);
        let mut world = if name == "secret" { secrets() } else { widgets() };
        for (at, step) in sequence["steps"].as_array().unwrap().iter().enumerate() {
            let why = step["why"].as_str().unwrap();
            if OF_THE_VERBS.contains(&why) {
                continue;
            }
            let got = comparable(world.step(at, &step["request"]));
            let wanted = comparable(step["answer"]["body"].clone());
            if got != wanted {
                wrong.push(format!("{name}, step {at}, {why}:\n  wanted {wanted}\n  got    {got}"));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
