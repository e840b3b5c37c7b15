//! The recorded sequences: what a real server answered to them.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::compare::difference;
use crate::play::play;
use crate::sequence::{Request, Transcript};
use crate::sim::{Sim, definitions, root};

fn file() -> PathBuf {
    root().join("fixtures/kubernetes/conformance/sequences.json.gz")
}

/// Writes what a real server made of sequences, the same bytes for the same answers.
pub(crate) fn write(recorded: &[(Vec<Request>, Transcript)]) {
    let sequences = recorded.iter().map(|(sequence, transcript)| {
        let mut value = transcript.to_value();
        value["requests"] = sequence.iter().map(Request::to_value).collect();
        value
    });
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(json!({"sequences": sequences.collect::<Vec<_>>()}).to_string().as_bytes()).unwrap();
    std::fs::write(file(), encoder.finish().unwrap()).unwrap();
}

fn read() -> Vec<(Vec<Request>, Transcript)> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(file()).unwrap()).read_to_string(&mut text).unwrap();
    let recorded: Value = serde_json::from_str(&text).unwrap();
    let sequences = recorded["sequences"].as_array().unwrap().iter();
    sequences
        .map(|sequence| {
            let requests = sequence["requests"].as_array().unwrap();
            (requests.iter().map(Request::from_value).collect(), Transcript::from_value(sequence))
        })
        .collect()
}

#[test]
fn recorded_sequences_are_answered_as_a_real_server_answered_them() {
    let definitions = definitions();
    let recorded = read();
    assert!(recorded.len() > 50, "{}", recorded.len());
    let mut wrong = Vec::new();
    for (sequence, real) in recorded {
        let simulated = play(&mut Sim::new(&definitions), &sequence, None);
        wrong.extend(difference(&sequence, &simulated, &real).map(|found| found.shown(&sequence)));
    }
    assert!(wrong.is_empty(), "{} sequences differ\n{}", wrong.len(), wrong.join("\n"));
}
