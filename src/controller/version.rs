//! Which of two states of an object is the older one.

/// Whether `one` is an older resourceVersion of the same object than `other`. Resource versions of one resource
/// are numbers that grow (KEP-5504); where they are not, nothing is known to be older.
pub(super) fn is_older(one: Option<&str>, other: Option<&str>) -> bool {
    let number = |version: Option<&str>| version.and_then(|version| version.parse::<u64>().ok());
    matches!((number(one), number(other)), (Some(one), Some(other)) if one < other)
}
