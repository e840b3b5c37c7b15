//! A thousand Certificates for a year.

use crate::common::on_stage;
use crate::year::{self, Passed, Size};

#[test]
fn in_a_year_with_bad_days_none_of_a_thousand_secrets_is_ever_without_a_valid_pair() {
    let size = Size { certificates: 1_000, days: 365 };
    let Passed { kept, issued, refused, .. } = on_stage(3, async |stage| year::pass(&stage, size).await);
    // One every sixty days, and the first of them within the first sixty.
    assert!((5_500..=6_500).contains(&kept.certificates), "{kept:?}");
    // The bad days were met, with and without a certificate that was not to be used.
    assert!(refused > 500, "{refused} calls came to nothing");
    assert!(issued > kept.certificates + 100, "{issued} issued, {kept:?}");
}
