//! Scenarios that leave nothing out: every request of a first issue and of a renewal, each struck in every way, and
//! every two of them.

use crate::record::Evidence;
use crate::scenario::{Blow, Op, Replica, Scenario, play};

/// What is swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// From the start of a process to the first certificate.
    FirstIssue,
    /// From the word that a certificate is to be renewed to the next one.
    Renewal,
}

/// How long a course takes, with a process that dies in it and is started again.
const LENGTH: u32 = 60_000;
/// When a renewal begins: the first issue is long over.
const RENEWED_AT: u32 = 20_000;

impl Course {
    /// Both.
    pub const ALL: [Self; 2] = [Self::FirstIssue, Self::Renewal];

    /// The course, with these blows: each to the `nth` request that the controller sends in it.
    #[must_use]
    pub fn struck(self, blows: &[(u16, Blow)]) -> Scenario {
        let strikes = blows.iter().map(|(nth, blow)| Op::Strike(Replica::A, *nth, *blow));
        let mut ops: Vec<(u32, Op)> = strikes.map(|strike| (0, strike)).collect();
        if self == Self::Renewal {
            ops.push((0, Op::Renew));
            if let Some((wait, _)) = ops.first_mut() {
                *wait = RENEWED_AT;
            }
        }
        // Nothing new; but all is put right only then.
        ops.push((LENGTH, Op::Approve));
        Scenario::of(ops)
    }

    /// How many requests the controller sends in it, to the API server and to the PKI, when nothing goes wrong.
    ///
    /// # Errors
    /// The stage could not be set.
    pub fn requests(self) -> anyhow::Result<u16> {
        let evidence = play(&self.struck(&[]))?;
        Ok(u16::try_from(self.times(&evidence).len()).unwrap_or(u16::MAX))
    }

    fn times(self, evidence: &Evidence) -> Vec<jiff::Timestamp> {
        let begins = evidence.happened.first().map_or(jiff::Timestamp::MAX, |(at, _)| *at);
        let ends = evidence.happened.last().map_or(jiff::Timestamp::MAX, |(at, _)| *at);
        let from = if self == Self::Renewal { begins } else { jiff::Timestamp::MIN };
        let calls =
            evidence.calls.iter().map(|call| call.sent).chain(evidence.pki.iter().map(|call| call.sent));
        calls.filter(|sent| from <= *sent && *sent <= ends).collect()
    }

    /// Each request, struck in each of these ways.
    #[must_use]
    pub fn singles(self, requests: u16, blows: &[Blow]) -> Vec<Scenario> {
        let each = |nth| blows.iter().map(move |blow| self.struck(&[(nth, *blow)]));
        (0..requests).flat_map(each).collect()
    }

    /// Every two requests, struck in each two of these ways.
    #[must_use]
    pub fn pairs(self, requests: u16, blows: &[Blow]) -> Vec<Scenario> {
        let mut all = Vec::new();
        for first in 0..requests {
            for second in first + 1..requests {
                for one in blows {
                    all.extend(blows.iter().map(|other| self.struck(&[(first, *one), (second, *other)])));
                }
            }
        }
        all
    }
}
