//! The control port as an OpenAPI 3.1 document, made from the table of routes and the types of the wire.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::admin::{
    routes::{ALL, Good, Route, bad, names_in},
    wire::Problem,
};

pub(crate) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in ALL {
        let operation = operation(route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.to_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "mock-pki's control port",
            "description": "What tests see and do. Requests of other web pages than this port's own are refused.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = names_in(route.path)
        .map(|name| {
            let kind = if name == "id" { "integer" } else { "string" };
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": kind } })
        })
        .collect();
    if let Some(query) = route.query {
        parameters.extend(query_parameters(&query(generator).to_value(), generator));
    }
    let (status, about, content) = match route.good {
        Good::Json(shape) => {
            ("200", "as asked", json!({ "application/json": { "schema": shape(generator) } }))
        }
        Good::Created(shape) => {
            ("201", "made", json!({ "application/json": { "schema": shape(generator) } }))
        }
        Good::Text(kind) => ("200", "as asked", json!({ kind: { "schema": { "type": "string" } } })),
        Good::Nothing => ("204", "done", Value::Null),
    };
    let mut responses = Map::new();
    responses.insert(status.to_owned(), response(about, content));
    for status in route.bad {
        let (about, schema) = bad(*status);
        let content = json!({ "application/json": { "schema": schema } });
        responses.insert(status.to_string(), response(about, content));
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.about,
        "responses": responses,
    });
    if let Some(operation) = operation.as_object_mut() {
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(body) = route.body {
            let content = json!({ "application/json": { "schema": body(generator) } });
            operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
    }
    operation
}

fn response(about: &str, content: Value) -> Value {
    let mut response = json!({ "description": about });
    if let Some(response) = response.as_object_mut().filter(|_| !content.is_null()) {
        response.insert("content".to_owned(), content);
    }
    response
}

/// Such as `get_ledger_serial`.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '{', '}', '.', '-']).filter(|word| !word.is_empty());
    std::iter::once(route.method.to_lowercase()).chain(words.map(str::to_owned)).collect::<Vec<_>>().join("_")
}

/// Each property of an object is a parameter.
fn query_parameters(schema: &Value, generator: &SchemaGenerator) -> Vec<Value> {
    let reference = schema.get("$ref").and_then(Value::as_str);
    let name = reference.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let object = generator.definitions().get(name).unwrap_or(schema);
    let properties = object.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            json!({ "name": name, "in": "query", "description": about, "schema": schema })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE=1 cargo test -p mock-pki openapi` writes it.
    #[test]
    fn the_openapi_document_that_is_checked_in_is_what_the_program_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let said = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
        crate::checked_in(path, &said);
    }

    #[test]
    fn every_route_is_in_the_document_and_every_reference_leads_somewhere() {
        let document = document();
        for route in ALL {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert_eq!(operation["summary"], route.about, "{} {}", route.method, route.path);
        }
        let text = document.to_string();
        for reference in text.split("\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
