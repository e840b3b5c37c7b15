//! JSON patch, merge patch and strategic merge patch.
//!
//! Each makes a new object of an old one and leaves it to the caller to decide what of it counts. The messages
//! are the server's own.

use http::StatusCode;
use serde_json::Value;

use crate::schema::Schema;
use crate::status::Failure;

mod json;
mod merge;
mod strategic;

/// What the server allows in one JSON patch.
const MAX_OPERATIONS: usize = 10_000;

/// Applies an RFC 6902 JSON patch.
pub fn json_patch(object: &Value, patch: &Value) -> Result<Value, Failure> {
    let Some(operations) = patch.as_array() else {
        return Err(not_a("[]handlers.jsonPatchOp", patch, "error decoding patch: "));
    };
    if operations.len() > MAX_OPERATIONS {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        );
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message));
    }
    if let Some(odd) = operations.iter().find(|operation| !operation.is_object()) {
        return Err(not_a("handlers.jsonPatchOp", odd, "error decoding patch: "));
    }
    let mut object = object.clone();
    // The server keeps to itself which operation failed, and why.
    match json::apply(&mut object, operations) {
        Ok(()) => Ok(object),
        Err(_) => Err(unprocessable()),
    }
}

/// Applies an RFC 7386 merge patch.
pub fn merge_patch(object: &Value, patch: &Value) -> Result<Value, Failure> {
    if !patch.is_object() {
        return Err(not_a("map[string]interface {}", patch, "error decoding patch: "));
    }
    let mut object = object.clone();
    merge::apply(&mut object, patch);
    Ok(object)
}

/// Applies a strategic merge patch: lists are merged by the keys and strategies that the schema declares.
pub fn strategic_merge_patch(object: &Value, patch: &Value, schema: &Schema) -> Result<Value, Failure> {
    if !patch.is_object() {
        return Err(not_a("map[string]interface {}", patch, ""));
    }
    strategic::apply(object, patch, schema.cursor()).map_err(|fault| match fault {
        strategic::Fault::Malformed(message) => Failure::bad_request(message),
        strategic::Fault::ListsOfLists => unprocessable(),
        strategic::Fault::Other(message) => Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "", message),
    })
}

fn unprocessable() -> Failure {
    let message = "the server rejected our request due to an error in our request";
    Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
        .with_details(crate::status::Details::default())
}

/// A patch that is well-formed JSON and of the wrong type.
fn not_a(wanted: &str, got: &Value, before: &str) -> Failure {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Failure::bad_request(format!("{before}json: cannot unmarshal {got} into Go value of type {wanted}"))
}

#[cfg(test)]
mod tests;
