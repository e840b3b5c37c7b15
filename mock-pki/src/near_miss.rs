//! Near misses: the requests that come closest to one that was expected, and in what they differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::{Entry, MAX_PATH};

/// The most that are told.
const MOST: usize = 5;

/// A request that is expected; what is left out may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The face.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub face: Option<String>,
    /// The method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The whole path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The fault that applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The client's `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// A request that is not quite the expected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NearMiss {
    /// How far off it is: 100 for each field that differs, less for a path of which a part is right. 0 for a hit.
    pub distance: usize,
    /// In what it differs.
    pub differences: Vec<Difference>,
    /// The request.
    pub request: Entry,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Which.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What it was; absent if nothing.
    pub found: Option<String>,
}

impl Expectation {
    /// Refuses what is longer than anything that a journal holds: every request is held against it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fields = [&self.face, &self.method, &self.path, &self.fault, &self.user_agent];
        if fields.into_iter().flatten().any(|field| field.len() > MAX_PATH) {
            return Err(format!("nothing in the journal is longer than {MAX_PATH} bytes"));
        }
        Ok(())
    }
}

/// The nearest of some requests, the nearest first and of those the latest.
pub(crate) fn nearest(requests: Vec<Entry>, expected: &Expectation) -> Vec<NearMiss> {
    let mut all: Vec<NearMiss> = requests.into_iter().map(|request| compare(request, expected)).collect();
    all.sort_by_key(|miss| (miss.distance, std::cmp::Reverse(miss.request.number)));
    all.truncate(MOST);
    all
}

fn compare(request: Entry, expected: &Expectation) -> NearMiss {
    let status = |status: Option<u16>| status.map(|status| status.to_string());
    let fields = [
        ("face", expected.face.clone(), Some(request.face.clone())),
        (
            "method",
            expected.method.as_ref().map(|method| method.to_uppercase()),
            Some(request.method.clone()),
        ),
        ("path", expected.path.clone(), Some(request.path.clone())),
        ("status", status(expected.status), status(request.status)),
        ("fault", expected.fault.clone(), request.fault.clone()),
        ("user_agent", expected.user_agent.clone(), request.user_agent.clone()),
    ];
    let (mut distance, mut differences) = (0, Vec::new());
    for (field, expected, found) in fields {
        let Some(expected) = expected.filter(|expected| found.as_ref() != Some(expected)) else { continue };
        distance += if field == "path" {
            path_distance(&expected, found.as_deref().unwrap_or_default())
        } else {
            100
        };
        differences.push(Difference { field: field.to_owned(), expected, found });
    }
    NearMiss { distance, differences, request }
}

/// How many segments have to be changed, added or taken away, in hundredths of all; at least 1 for two that differ.
fn path_distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<_>, Vec<_>) = (one.split('/').collect(), other.split('/').collect());
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, segment) in one.iter().enumerate() {
        let mut next = vec![line + 1];
        for ((column, candidate), pair) in other.iter().enumerate().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            let changed = diagonal + usize::from(segment != candidate);
            let before = next.get(column).copied().unwrap_or_default();
            next.push(changed.min(above + 1).min(before + 1));
        }
        row = next;
    }
    let edits = row.last().copied().unwrap_or_default();
    (edits * 100 / one.len().max(other.len()).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, method: &str, path: &str, status: u16) -> Entry {
        Entry {
            number,
            at: jiff::Timestamp::UNIX_EPOCH,
            face: "vault".to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            status: Some(status),
            request_id: None,
            fault: None,
            microseconds: 1,
            user_agent: None,
        }
    }

    #[test]
    fn the_nearest_comes_first_with_what_it_differs_in() {
        let requests = vec![
            entry(1, "GET", "/v1/sys/health", 200),
            entry(2, "POST", "/v1/pki_int/sign/wep", 404),
            entry(3, "GET", "/v1/pki_int/sign/web", 405),
            entry(4, "POST", "/v1/pki_int/sign/wep", 404),
        ];
        let expected = Expectation {
            method: Some("post".to_owned()),
            path: Some("/v1/pki_int/sign/web".to_owned()),
            ..Expectation::default()
        };
        let misses = nearest(requests, &expected);
        assert_eq!(misses.iter().map(|miss| miss.request.number).collect::<Vec<_>>(), [4, 2, 3, 1]);
        assert_eq!(misses.iter().map(|miss| miss.distance).collect::<Vec<_>>(), [20, 20, 100, 160]);
        let difference = Difference {
            field: "path".to_owned(),
            expected: "/v1/pki_int/sign/web".to_owned(),
            found: Some("/v1/pki_int/sign/wep".to_owned()),
        };
        assert_eq!(misses[0].differences, [difference]);
    }

    #[test]
    fn a_hit_has_no_distance() {
        let expected = Expectation { status: Some(200), ..Expectation::default() };
        let misses = nearest(vec![entry(1, "GET", "/", 200)], &expected);
        assert_eq!((misses[0].distance, misses[0].differences.len()), (0, 0));
        assert_eq!(path_distance("/a/b", "/a/b/c"), 25);
        assert_eq!(path_distance("/a", "/b"), 50);
    }
}
