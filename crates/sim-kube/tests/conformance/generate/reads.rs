//! Reading one and many, and following.

use proptest::prelude::*;

use super::kinds::Place;
use super::{maybe, text_of};
use crate::sequence::Request;

/// The namespace of a request: nearly always the same.
pub(crate) fn namespace() -> BoxedStrategy<String> {
    prop_oneof![30 => text_of(&["$P-x"]), 1 => text_of(&["$P-y"]), 1 => text_of(&["$P-none"])].boxed()
}

pub(crate) fn name(place: &Place) -> BoxedStrategy<String> {
    let [first, second, third] = place.names;
    prop_oneof![5 => Just(first), 3 => Just(second), 1 => Just(third)].prop_map(str::to_owned).boxed()
}

fn accept() -> BoxedStrategy<String> {
    prop_oneof![
        20 => text_of(&[""]),
        1 => text_of(&[
            "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
            "application/json;as=Table;v=v1;g=meta.k8s.io",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io, application/json",
            "application/json;as=Odd;v=v1;g=meta.k8s.io",
            "text/plain",
            "*/*",
        ]),
    ]
    .boxed()
}

pub(crate) fn get(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    let status = if place.status { 0.15 } else { 0.03 };
    (
        namespace(),
        name(&place),
        prop::bool::weighted(status),
        maybe("resourceVersion", 0.1, &["0", "$RV", "$OLD", "x"]),
        accept(),
    )
        .prop_map(move |(namespace, name, status, version, accept)| {
            let mut request = place.object("GET", &namespace, &name);
            if status {
                request.path.push_str("/status");
            }
            request.query.extend(version);
            request.accept = accept;
            request
        })
        .boxed()
}

fn selectors(place: &Place) -> BoxedStrategy<Vec<(String, String)>> {
    let labels = maybe(
        "labelSelector",
        0.3,
        &[
            "app=1",
            "app!=1",
            "app",
            "!app",
            "app in (1,2),tier",
            "tier=",
            "app notin (1)",
            "app==2",
            "app=1,",
            "a b",
            "app in (1",
            "=x",
            "app>1",
            "app=-bad-",
        ],
    );
    let own: &[&str] = match place.plural {
        "secrets" => &["type=Opaque", "type!=Opaque"],
        "events" if place.api_version == "v1" => &[
            "involvedObject.name=a",
            "reason=Because",
            "type=Normal,involvedObject.kind=ConfigMap",
            "source=c",
            "reportingComponent=example.com/c",
        ],
        "events" => &[
            "regarding.name=a",
            "reason=Because",
            "involvedObject.name=a",
            "reportingController=example.com/c",
        ],
        "things" => &["spec.mode=fast", "spec.mode!=fast", "spec.size=1"],
        "namespaces" => &["status.phase=Active"],
        _ => &["spec.x=1"],
    };
    let mut fields = vec![
        "metadata.name=a",
        "metadata.name!=a",
        "metadata.namespace=$P-x",
        "metadata.name=$P-a",
        "metadata.labels=x",
        "metadata.name",
        "metadata.name==b",
        "=",
        "metadata.name in (a)",
    ];
    fields.extend(own);
    fields.extend(own);
    (labels, maybe("fieldSelector", 0.2, &fields))
        .prop_map(|(labels, fields)| labels.into_iter().chain(fields).collect())
        .boxed()
}

/// Outside our namespaces there are others' objects, which are selected away.
fn ours_only(place: &Place, everywhere: bool, request: &mut Request) {
    if place.namespaced && !everywhere {
        return;
    }
    match request.query.iter_mut().find(|(key, _)| key == "labelSelector") {
        Some((_, selector)) => selector.insert_str(0, "seq=$P,"),
        None => request.query.push(("labelSelector".to_owned(), "seq=$P".to_owned())),
    }
    // With others' objects behind the last of ours a page does not know that it is the last.
    request.query.retain(|(key, _)| key != "limit" && key != "continue");
}

pub(crate) fn list(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    let pages = (
        maybe("limit", 0.4, &["1", "2", "0", "500", "-1", "x"]),
        prop::option::weighted(0.3, Just(("continue".to_owned(), "$CONT".to_owned()))),
    );
    let versions = prop_oneof![
        4 => Just(Vec::new()),
        3 => (
            maybe("resourceVersion", 0.9, &["0", "$RV", "$OLD", "$LIST", "x"]),
            maybe("resourceVersionMatch", 0.7, &["Exact", "NotOlderThan", "Odd"]),
        )
            .prop_map(|(version, matching)| version.into_iter().chain(matching).collect::<Vec<_>>()),
    ];
    let odd = maybe("sendInitialEvents", 0.02, &["true", "false"]);
    (namespace(), prop::bool::weighted(0.1), selectors(&place), pages, versions, odd, accept())
        .prop_map(move |(namespace, everywhere, selectors, (limit, token), versions, odd, accept)| {
            let path = if everywhere { place.everywhere() } else { place.collection(&namespace) };
            let mut request = Request::new("GET", path);
            request.query.extend(selectors);
            request.query.extend(limit);
            request.query.extend(token);
            request.query.extend(versions);
            request.query.extend(odd);
            request.accept = accept;
            ours_only(&place, everywhere, &mut request);
            request
        })
        .boxed()
}

pub(crate) fn watch(place: &Place) -> BoxedStrategy<Request> {
    let place = *place;
    let versions = prop_oneof![
        6 => maybe("resourceVersion", 0.7, &["0", "$RV", "$OLD", "$LIST", "x"])
            .prop_map(|version| version.into_iter().collect::<Vec<_>>()),
        2 => maybe("resourceVersion", 0.5, &["0", "$RV"]).prop_map(|version| {
            let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
            let mut query = vec![
                pair("sendInitialEvents", "true"),
                pair("resourceVersionMatch", "NotOlderThan"),
                pair("allowWatchBookmarks", "true"),
            ];
            query.extend(version);
            query
        }),
        1 => (
            maybe("sendInitialEvents", 0.6, &["true", "false"]),
            maybe("resourceVersionMatch", 0.6, &["NotOlderThan", "Exact", "Odd"]),
            maybe("allowWatchBookmarks", 0.5, &["true", "false"]),
        )
            .prop_map(|(first, second, third)| first.into_iter().chain(second).chain(third).collect()),
    ];
    (namespace(), prop::bool::weighted(0.1), selectors(&place), versions)
        .prop_map(move |(namespace, everywhere, selectors, versions)| {
            let path = if everywhere { place.everywhere() } else { place.collection(&namespace) };
            let mut request = Request::new("GET", path).with("watch", "true");
            request.query.extend(selectors);
            request.query.extend(versions);
            ours_only(&place, everywhere, &mut request);
            request
        })
        .boxed()
}
