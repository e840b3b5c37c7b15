//! Conflicts, and the 409 they become.

use http::StatusCode;

use super::managers::Writer;
use super::path::{PathElement, show_path};
use crate::go_print::quoted;
use crate::status::{Cause, Details, Failure};

/// A field that an apply would change and that somebody else owns.
#[derive(Clone, Debug)]
pub(super) struct Conflict {
    pub writer: Writer,
    pub path: Vec<PathElement>,
}

pub(super) fn failure(conflicts: &[Conflict]) -> Failure {
    let cause = |conflict: &Conflict| {
        let message = format!("conflict with {}", name(&conflict.writer));
        Cause::new("FieldManagerConflict", show_path(&conflict.path), message)
    };
    Failure::new(StatusCode::CONFLICT, "Conflict", message(conflicts))
        .with_details(Details { causes: conflicts.iter().map(cause).collect(), ..Details::default() })
}

/// One sentence for one conflict; for several a list by manager.
fn message(conflicts: &[Conflict]) -> String {
    if let [conflict] = conflicts {
        let (who, path) = (name(&conflict.writer), show_path(&conflict.path));
        return format!("Apply failed with 1 conflict: conflict with {who}: {path}");
    }
    let mut lines = Vec::new();
    let mut before: Option<&Writer> = None;
    for Conflict { writer, path } in conflicts {
        if before != Some(writer) {
            lines.push(format!("conflicts with {}:", name(writer)));
            before = Some(writer);
        }
        lines.push(format!("- {}", show_path(path)));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

fn name(writer: &Writer) -> String {
    let mut name = quoted(&writer.manager);
    if !writer.subresource.is_empty() {
        name = format!("{name} with subresource {}", quoted(&writer.subresource));
    }
    if !writer.applies {
        name = format!("{name} using {}", writer.api_version);
    }
    name
}
