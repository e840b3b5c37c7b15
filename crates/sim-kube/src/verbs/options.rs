//! What a write asks for in its query, and what of that is refused, before anything else is looked at.

use serde_json::json;

use super::Request;
use crate::{Cause, Failure};

/// The options of a verb that writes objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Options {
    Create,
    Update,
    /// `applies` says that the patch is a server-side apply.
    Patch {
        applies: bool,
    },
}

/// Whether the server understands what is asked for.
pub(crate) fn check(request: &Request<'_>, options: Options) -> Result<(), Failure> {
    let params = &request.call.params;
    let mut causes = Vec::new();
    let kind = match options {
        Options::Create => "CreateOptions",
        Options::Update => "UpdateOptions",
        Options::Patch { applies } => {
            if applies && params.field_manager.is_empty() {
                causes.push(Cause::required("fieldManager", "is required for apply patch"));
            } else if !applies && params.force_given {
                causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
            }
            "PatchOptions"
        }
    };
    causes.extend(unknown_dry_run(&params.dry_run_values));
    if !matches!(params.field_validation.as_str(), "" | "Ignore" | "Strict" | "Warn") {
        let known = ["", "Ignore", "Strict", "Warn"];
        causes.push(Cause::not_supported("fieldValidation", &json!(params.field_validation), &known));
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid("meta.k8s.io", kind, "", causes)) }
}

/// A way of trying out that does not exist.
pub(crate) fn unknown_dry_run(values: &[String]) -> Option<Cause> {
    let known = values.iter().all(|value| value == "All");
    (!known).then(|| Cause::not_supported("dryRun", &json!(values), &["All"]))
}
