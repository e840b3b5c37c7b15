//! `Config/…`: the tree itself. These answer 200 with a result code: 1 for success, 400 where nothing is there, 401
//! where something is there already.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    sync::lock,
    venafi::{
        State,
        answer::{Answer, Refusal},
        dn::Dn,
        fields::Fields,
        policy::Policy,
        tree::{Attribute, Attributes, Kind, Node},
    },
};

const SUCCESS: u16 = 1;

fn failed(result: u16, error: &str) -> Answer {
    Answer::ok(json!({ "Error": error, "Result": result }))
}

fn no_object(dn: &str) -> Answer {
    failed(400, &format!("Object {dn} does not exist."))
}

/// What is done to an object; the caller gets to know if there is none.
fn with_node(state: &State, dn: &str, look: impl FnOnce(&Node) -> Value) -> Answer {
    let tree = lock(&state.tree);
    let node = Dn::parse(dn).and_then(|dn| tree.find(&dn));
    node.map_or_else(|| no_object(dn), |node| Answer::ok(look(node)))
}

/// `DnToGuid`
pub(crate) fn dn_to_guid(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    Ok(with_node(state, fields.needed("ObjectDN")?, |node| {
        json!({
            "ClassName": node.class(),
            "GUID": node.braced(),
            "HierarchicalGUID": format!("\\{}", node.braced()),
            "Result": SUCCESS,
            "Revision": 1,
        })
    }))
}

/// `GuidToDn`
pub(crate) fn guid_to_dn(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    let guid = fields.needed("ObjectGUID")?;
    let tree = lock(&state.tree);
    let found = tree.with_guid(guid).map(|node| {
        let guid = format!("\\{}", node.braced());
        json!({
            "ClassName": node.class(),
            "HierarchicalGUID": guid,
            "ObjectDN": node.dn.to_string(),
            "Result": SUCCESS,
            "Revision": 1,
        })
    });
    Ok(found.map_or_else(|| no_object(guid), Answer::ok))
}

/// `IsValid`
pub(crate) fn is_valid(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    let (dn, guid) = (fields.text("ObjectDN")?, fields.text("ObjectGUID")?);
    let tree = lock(&state.tree);
    let by_dn = dn.and_then(Dn::parse).and_then(|dn| tree.find(&dn));
    let found = by_dn.or_else(|| tree.with_guid(guid?));
    let missing = || no_object(dn.or(guid).unwrap_or_default());
    Ok(found.map_or_else(missing, |node| Answer::ok(json!({ "Object": node.describe(), "Result": SUCCESS }))))
}

/// `Create`: a policy folder.
pub(crate) fn create(state: &State, fields: &Fields, now: Timestamp) -> Result<Answer, Refusal> {
    let (text, class) = (fields.needed("ObjectDN")?, fields.needed("Class")?);
    if class != "Policy" {
        return Ok(failed(403, &format!("Objects of class {class} cannot be created.")));
    }
    let Some(dn) = Dn::parse(text) else { return Ok(failed(407, &format!("{text} is not a valid DN."))) };
    let mut tree = lock(&state.tree);
    if tree.find(&dn).is_some() {
        return Ok(failed(401, &format!("Object {dn} already exists.")));
    }
    let parent = dn.parent().filter(|parent| tree.find(parent).is_some_and(|node| node.folder().is_some()));
    if parent.is_none() {
        return Ok(no_object(&dn.parent().map(|dn| dn.to_string()).unwrap_or_default()));
    }
    let object = tree.add(dn, Kind::Folder(Attributes::new()), now).describe();
    Ok(Answer::ok(json!({ "Object": object, "Result": SUCCESS })))
}

/// `FindObjectsOfClass`: those right below a DN, or anywhere below with `Recursive`.
pub(crate) fn find_objects_of_class(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    let (class, recursive) = (fields.needed("Class")?, fields.flag("Recursive")?);
    let text = fields.text("ObjectDN")?.unwrap_or("\\VED\\Policy");
    let tree = lock(&state.tree);
    let Some(above) = Dn::parse(text).filter(|dn| tree.find(dn).is_some()) else {
        return Ok(no_object(text));
    };
    let key = Some(above.key());
    let found = tree.all().filter(|node| {
        let is_below = match node.dn.parent() {
            Some(parent) if recursive => parent.is_within(&above),
            parent => parent.map(|parent| parent.key()) == key,
        };
        is_below && node.class().eq_ignore_ascii_case(class)
    });
    let objects: Vec<Value> = found.map(Node::describe).collect();
    Ok(Answer::ok(json!({ "Objects": objects, "Result": SUCCESS })))
}

/// `WritePolicy`: sets an attribute of a folder.
pub(crate) fn write_policy(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    let (values, locked) = (fields.list("Values")?, fields.flag("Locked")?);
    change(state, fields, |attributes, name| {
        attributes.insert(name.to_owned(), Attribute { values, locked });
    })
}

/// `ClearPolicyAttribute`
pub(crate) fn clear_policy_attribute(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    change(state, fields, |attributes, name| {
        attributes.remove(name);
    })
}

fn change(
    state: &State,
    fields: &Fields,
    how: impl FnOnce(&mut Attributes, &str),
) -> Result<Answer, Refusal> {
    let (text, name) = (fields.needed("ObjectDN")?, fields.needed("AttributeName")?);
    let mut tree = lock(&state.tree);
    let node = Dn::parse(text).and_then(|dn| tree.find_mut(&dn));
    let Some(Node { kind: Kind::Folder(attributes), .. }) = node else { return Ok(no_object(text)) };
    how(attributes, name);
    Ok(Answer::ok(json!({ "Result": SUCCESS })))
}

/// `ReadPolicy`: an attribute of this very folder.
pub(crate) fn read_policy(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    let name = fields.needed("AttributeName")?;
    Ok(with_node(state, fields.needed("ObjectDN")?, |node| {
        let own = node.folder().and_then(|attributes| attributes.get(name)).cloned().unwrap_or_default();
        json!({ "Locked": own.locked, "Result": SUCCESS, "Values": own.values })
    }))
}

/// `FindPolicy`: an attribute as it is in force for an object, and where it comes from.
pub(crate) fn find_policy(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    let (text, name) = (fields.needed("ObjectDN")?, fields.needed("AttributeName")?);
    let tree = lock(&state.tree);
    let folder = Dn::parse(text).filter(|dn| tree.find(dn).is_some()).and_then(|dn| {
        let own = Some(dn.clone()).filter(|dn| tree.find(dn).is_some_and(|node| node.folder().is_some()));
        own.or_else(|| dn.parent())
    });
    let Some(policy) = folder.and_then(|folder| Policy::of(&tree, &folder)) else {
        return Ok(no_object(text));
    };
    Ok(Answer::ok(match policy.attribute(name) {
        Some((attribute, dn)) => json!({
            "Locked": attribute.locked,
            "PolicyDN": dn.to_string(),
            "Result": SUCCESS,
            "Values": attribute.values,
        }),
        None => json!({ "Locked": false, "Result": SUCCESS, "Values": [] }),
    }))
}

/// `ReadDn`: an attribute of an object.
pub(crate) fn read_dn(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    let name = fields.needed("AttributeName")?;
    Ok(with_node(state, fields.needed("ObjectDN")?, |node| {
        let values = match &node.kind {
            Kind::Folder(attributes) => attributes.get(name).map(|own| own.values.clone()),
            Kind::Ca => None,
            Kind::Certificate(enrollment) => enrollment.attribute(name),
        };
        json!({ "Result": SUCCESS, "Values": values.unwrap_or_default() })
    }))
}
