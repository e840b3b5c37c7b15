//! `Identity/…`: the local directory.

use serde_json::{Value, json};

use crate::venafi::{
    answer::{Answer, Refusal},
    fields::Fields,
    session::{USERS, User},
};

/// A user, as opposed to a group.
const USER: u8 = 1;

fn entry(user: &User) -> Value {
    json!({
        "FullName": format!("\\VED\\Identity\\{}", user.name),
        "Name": user.name,
        "Prefix": "local",
        "PrefixedName": format!("local:{}", user.name),
        "PrefixedUniversal": user.universal(),
        "Type": USER,
        "Universal": format!("{{{}}}", user.guid),
    })
}

/// `Self`
pub(crate) fn own(user: &User) -> Answer {
    Answer::ok(json!({ "Identities": [entry(user)] }))
}

/// `Browse`: those whose name begins so.
pub(crate) fn browse(fields: &Fields) -> Result<Answer, Refusal> {
    let filter = fields.text("Filter")?.unwrap_or_default().to_ascii_lowercase();
    let limit = fields.number("Limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(100);
    let kinds = fields.number("IdentityType")?.unwrap_or_else(|| u64::from(USER));
    let found = USERS.iter().filter(|user| kinds & u64::from(USER) != 0 && user.name.starts_with(&filter));
    Ok(Answer::ok(json!({ "Identities": found.take(limit).map(entry).collect::<Vec<_>>() })))
}

/// `Validate`: the one with this id or name.
pub(crate) fn validate(fields: &Fields) -> Result<Answer, Refusal> {
    let id = fields.inner("ID");
    let (universal, name) = (id.text("PrefixedUniversal")?, id.text("PrefixedName")?);
    let plain = |text: &str| text.replace(['{', '}'], "").to_ascii_lowercase();
    let by_id = universal.and_then(|id| USERS.iter().find(|user| plain(&user.universal()) == plain(id)));
    let found = by_id.or_else(|| User::named(name?));
    let found = found.ok_or_else(|| Refusal::bad("The identity could not be found."))?;
    Ok(Answer::ok(json!({ "ID": entry(found) })))
}
