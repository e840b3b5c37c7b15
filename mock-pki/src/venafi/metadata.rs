//! `Metadata/…`: custom fields of certificates. There are two: a text and a choice.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    sync::lock,
    venafi::{
        State,
        answer::{Answer, Refusal},
        dn::Dn,
        fields::Fields,
    },
};

/// Result codes of the product.
const SUCCESS: u8 = 0;
const INVALID_VALUE: u8 = 17;
const NO_OBJECT: u8 = 3;

/// The product's numbers for kinds of fields.
const TEXT: u8 = 1;
const CHOICE: u8 = 2;

/// A custom field.
struct Item {
    label: &'static str,
    /// Without braces.
    guid: &'static str,
    kind: u8,
    allowed: &'static [&'static str],
}

const ITEMS: [Item; 2] = [
    Item { label: "Cost Center", guid: "a80714f0-565c-4bc2-9026-000000000001", kind: TEXT, allowed: &[] },
    Item {
        label: "Environment",
        guid: "a80714f0-565c-4bc2-9026-000000000002",
        kind: CHOICE,
        allowed: &["Development", "Test", "Production"],
    },
];

impl Item {
    fn labelled(label: &str) -> Option<&'static Self> {
        ITEMS.iter().find(|item| item.label.eq_ignore_ascii_case(label))
    }

    fn with_guid(guid: &str) -> Option<&'static Self> {
        let guid = guid.trim_matches(['{', '}']);
        ITEMS.iter().find(|item| item.guid.eq_ignore_ascii_case(guid))
    }

    fn braced(&self) -> String {
        format!("{{{}}}", self.guid)
    }

    fn takes(&self, values: &[String]) -> bool {
        self.allowed.is_empty() || values.iter().all(|value| self.allowed.contains(&value.as_str()))
    }

    fn describe(&self) -> Value {
        json!({
            "AllowedValues": self.allowed,
            "Classes": ["X509 Certificate"],
            "ConfigAttribute": self.braced(),
            "DN": format!("\\VED\\Metadata Root\\{}", self.label),
            "DefaultValues": [],
            "Guid": self.braced(),
            "Label": self.label,
            "Name": self.label,
            "Policyable": false,
            "RenderHidden": false,
            "RenderReadOnly": false,
            "Type": self.kind,
        })
    }
}

/// `CustomFields` of a request, by the item's GUID.
pub(crate) fn custom_fields(fields: &Fields) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    let mut custom = BTreeMap::new();
    for field in fields.objects("CustomFields") {
        let (name, values) = (field.needed("Name")?, field.list("Values")?);
        let item = Item::labelled(name)
            .ok_or_else(|| Refusal::bad(format!("The custom field {name} does not exist.\r\n")))?;
        if !item.takes(&values) {
            return Err(Refusal::bad(format!("The value for the custom field {name} is not valid.\r\n")));
        }
        custom.insert(item.guid.to_owned(), values);
    }
    Ok(custom)
}

/// `CustomFields` of an object's details.
pub(crate) fn shown(custom: &BTreeMap<String, Vec<String>>) -> Value {
    let fields = custom.iter().filter_map(|(guid, values)| {
        let item = Item::with_guid(guid)?;
        let kind = if item.kind == TEXT { "Text" } else { "List" };
        Some(json!({ "Name": item.label, "Type": kind, "Value": values }))
    });
    fields.collect()
}

/// `Items`, `GetItems`: which fields there are.
pub(crate) fn items() -> Answer {
    let items: Vec<Value> = ITEMS.iter().map(Item::describe).collect();
    Answer::ok(json!({ "Items": items, "Locked": false, "Result": SUCCESS }))
}

/// `Get`: the fields of an object that have values.
pub(crate) fn get(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    let dn = fields.needed("DN")?;
    let tree = lock(&state.tree);
    let node = Dn::parse(dn).and_then(|dn| tree.find(&dn)?.enrollment());
    let Some(enrollment) = node else { return Ok(Answer::ok(json!({ "Data": [], "Result": NO_OBJECT }))) };
    let data = enrollment.custom.iter().filter_map(|(guid, values)| {
        Some(json!({ "Key": Item::with_guid(guid)?.describe(), "Value": values }))
    });
    let data: Vec<Value> = data.collect();
    Ok(Answer::ok(json!({ "Data": data, "Locked": false, "Result": SUCCESS })))
}

/// `Set`
pub(crate) fn set(state: &State, fields: &Fields) -> Result<Answer, Refusal> {
    let (dn, keep) = (fields.needed("DN")?, fields.flag("KeepExisting")?);
    let mut custom = BTreeMap::new();
    for data in fields.objects("GuidData") {
        let values = data.list("List")?;
        let item = Item::with_guid(data.needed("ItemGuid")?).filter(|item| item.takes(&values));
        let Some(item) = item else {
            return Ok(Answer::ok(json!({ "Locked": false, "Result": INVALID_VALUE })));
        };
        custom.insert(item.guid.to_owned(), values);
    }
    let mut tree = lock(&state.tree);
    let enrollment = Dn::parse(dn).and_then(|dn| tree.enrollment_mut(&dn));
    let Some(enrollment) = enrollment else { return Ok(Answer::ok(json!({ "Result": NO_OBJECT }))) };
    if !keep {
        enrollment.custom.clear();
    }
    enrollment.custom.extend(custom);
    Ok(Answer::ok(json!({ "Locked": false, "Result": SUCCESS })))
}
