//! Searching certificates: criteria in, certificates out, in two versions that answer differently.

mod criteria;
mod found;
mod v1;
mod v2;

pub(crate) use v1::{expiring, search};
pub(crate) use v2::search as search_v2;

use crate::ejbca::{answer::Refusal, fields::Fields};

/// The most results that can be asked for at once.
const MAX_RESULTS: i64 = 400;

/// `max_number_of_results`, with the words of whoever asks.
pub(crate) fn checked_maximum(fields: &Fields, subject: &str, property: &str) -> Result<usize, Refusal> {
    let Some(most) = fields.integer("max_number_of_results")? else {
        return Err(Refusal::bad(format!("{subject}, can not be null.")));
    };
    if most <= 0 {
        let how =
            if property.is_empty() { "can not be less or equal to zero." } else { "can not less than 0." };
        return Err(Refusal::bad(format!("{subject}, {property}{how}")));
    }
    if most > MAX_RESULTS {
        return Err(Refusal::bad(format!("{subject}, {property}can not be more than 400.")));
    }
    Ok(usize::try_from(most).unwrap_or_default())
}

/// `criteria`, at least one.
pub(crate) fn checked_list(fields: &Fields) -> Result<Vec<Option<Fields>>, Refusal> {
    let null = if fields.has("criteria") { "null" } else { "empty" };
    let criteria = fields.objects("criteria")?;
    let criteria =
        criteria.ok_or_else(|| Refusal::bad(format!("Invalid criteria value, can not be {null}.")))?;
    if criteria.is_empty() {
        return Err(Refusal::bad("Invalid criteria value, can not be empty."));
    }
    Ok(criteria)
}
