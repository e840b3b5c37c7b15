//! Strategies for sequences of requests. Few names, labels and values, so that requests meet.

mod access;
mod content;
mod kinds;
mod metadata;
mod reads;
mod writes;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::sequence::Request;
use kinds::{Place, places};

/// A sequence about one kind or two, or about who may do what.
pub(crate) fn sequence() -> BoxedStrategy<Vec<Request>> {
    let two = prop::sample::subsequence(places(), 1..=2);
    let of_kinds = two.prop_flat_map(|places| prop::collection::vec(request(places), 4..18));
    prop_oneof![10 => of_kinds, 1 => access::sequence()].boxed()
}

fn request(places: Vec<Place>) -> BoxedStrategy<Request> {
    prop::sample::select(places)
        .prop_flat_map(|place| {
            prop_oneof![
                9 => writes::create(&place),
                1 => writes::generate_name(&place),
                3 => reads::get(&place),
                4 => reads::list(&place),
                3 => reads::watch(&place),
                7 => writes::update(&place),
                8 => writes::patch(&place),
                8 => writes::apply(&place),
                5 => writes::delete(&place),
                1 => writes::delete_collection(&place),
                2 => writes::nonsense(&place),
            ]
        })
        .boxed()
}

/// One of these values.
fn one_of(values: &[Value]) -> BoxedStrategy<Value> {
    prop::sample::select(values.to_vec()).boxed()
}

fn text_of(texts: &[&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(texts.to_vec()).prop_map(str::to_owned).boxed()
}

/// A value that is mostly right.
fn mostly(right: &[Value], wrong: &[Value]) -> BoxedStrategy<Value> {
    prop_oneof![14 => one_of(right), 1 => one_of(wrong)].boxed()
}

/// An object that has each of the fields or not.
fn some_of(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(key, value)| {
            prop::option::weighted(0.35, value)
                .prop_map(move |value| value.map(|value| (key.to_owned(), value)))
        })
        .collect();
    fields.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect::<Map<_, _>>())).boxed()
}

/// A query parameter, or none.
fn maybe(key: &'static str, weight: f64, values: &[&'static str]) -> BoxedStrategy<Option<(String, String)>> {
    let value = prop::sample::select(values.to_vec());
    prop::option::weighted(weight, value.prop_map(move |value| (key.to_owned(), value.to_owned()))).boxed()
}

/// Two objects as one; where both have a field, the second's.
fn joined(first: &Value, second: &Value) -> Value {
    let mut all = first.as_object().cloned().unwrap_or_default();
    all.extend(second.as_object().cloned().unwrap_or_default());
    json!(all)
}
