//! Four months of 150 Certificates: as much of a virtual year as an unoptimised build has time for. The example `year`
//! passes the same with a thousand, for a year.

use crate::common::on_stage;
use crate::year::{self, Passed, Size};

#[test]
fn in_four_months_with_bad_days_no_secret_is_ever_without_a_valid_pair() {
    let size = Size { certificates: 150, days: 120 };
    let Passed { kept, issued, refused } = on_stage(3, async |stage| year::pass(&stage, size).await);
    // One at the start and one after sixty days, but for the last who came.
    assert!((280..=320).contains(&kept.certificates), "{kept:?}");
    // The bad days were met, with and without a certificate that was not to be used.
    assert!(refused > 50, "{refused} calls came to nothing");
    assert!(issued > kept.certificates + 50, "{issued} issued, {kept:?}");
}
