//! What can happen in the course of a scenario. Each is possible at any time, so that a shorter scenario is a scenario.

use std::fmt;
use std::str::FromStr;

use super::blow::{Blow, CutKind};
use super::pki_fault::PkiFault;

/// A replica of the controller: `a`, or `b` if there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Replica {
    /// The first.
    A,
    /// The second.
    B,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// The `nth` request (from 0) that a replica sends from now on meets this.
    Strike(Replica, u16, Blow),
    /// A replica is killed, and started anew.
    Crash(Replica),
    /// A replica is told to stop, and started anew when it has.
    Restart(Replica),
    /// Nothing gets from a replica to anybody, or back, for these seconds; what it sent arrives when that is over.
    Partition(Replica, u16),
    /// A replica is shown nothing newer for these seconds.
    Stale(Replica, u16),
    /// All watches of a replica end.
    Cut(Replica, CutKind),
    /// A replica's watches are told no bookmarks for these seconds.
    NoBookmarks(Replica, u16),
    /// A replica's time of day is wrong by these seconds from now on.
    Skew(Replica, i32),
    /// Nobody runs for these seconds, and then everybody at once: a machine that was suspended.
    Suspend(u16),
    /// The API server forgets its history: who was away lists anew.
    Compact,
    /// The PKI is wrong in this way for these seconds.
    Pki(PkiFault, u16),
    /// Nobody may write events for these seconds.
    NoEvents(u16),
    /// Somebody takes the Lease who then does nothing.
    StealLease,
    /// Somebody deletes the Lease.
    DeleteLease,
    /// Requests are approved again, and those that wait now.
    Approve,
    /// Requests are denied from now on.
    Deny,
    /// Requests are left undecided from now on.
    Ignore,
    /// Whoever was approved is denied as well, which cert-manager's webhook would not allow.
    Flip,
    /// A user makes a request of their own.
    Ask(u8),
    /// A user deletes it.
    Unask(u8),
    /// A user deletes it and makes it again at once, with the same name and the same CSR.
    Reask(u8),
    /// Somebody else writes into the status of every unfinished request.
    Meddle,
    /// The Certificate is to be renewed at once (`cmctl renew`).
    Renew,
    /// The Certificate gets another name in it.
    EditCertificate,
    /// The Certificate is deleted and made again.
    RemakeCertificate,
    /// The requests of the Certificate are deleted.
    DeleteRequests,
    /// The Certificate's Secret is deleted.
    DeleteSecret,
    /// The issuer's spec changes, to as good a one.
    EditIssuer,
    /// The issuer is deleted.
    DeleteIssuer,
    /// The issuer is there, as it was.
    RestoreIssuer,
    /// The credential changes to another good one; the old one is revoked.
    Rotate,
    /// The credential is removed.
    DropCredential,
    /// The user's namespace is deleted, and is not made again.
    DeleteNamespace,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

impl FromStr for Replica {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "a" => Ok(Self::A),
            "b" => Ok(Self::B),
            _ => Err(format!("{text:?} is no replica")),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strike(replica, nth, blow) => write!(f, "strike {replica} {nth} {blow}"),
            Self::Crash(replica) => write!(f, "crash {replica}"),
            Self::Restart(replica) => write!(f, "restart {replica}"),
            Self::Partition(replica, seconds) => write!(f, "partition {replica} {seconds}"),
            Self::Stale(replica, seconds) => write!(f, "stale {replica} {seconds}"),
            Self::Cut(replica, kind) => write!(f, "cut {replica} {kind}"),
            Self::NoBookmarks(replica, seconds) => write!(f, "no-bookmarks {replica} {seconds}"),
            Self::Skew(replica, seconds) => write!(f, "skew {replica} {seconds}"),
            Self::Suspend(seconds) => write!(f, "suspend {seconds}"),
            Self::Compact => f.write_str("compact"),
            Self::Pki(fault, seconds) => write!(f, "pki {fault} {seconds}"),
            Self::NoEvents(seconds) => write!(f, "no-events {seconds}"),
            Self::StealLease => f.write_str("steal-lease"),
            Self::DeleteLease => f.write_str("delete-lease"),
            Self::Approve => f.write_str("approve"),
            Self::Deny => f.write_str("deny"),
            Self::Ignore => f.write_str("ignore"),
            Self::Flip => f.write_str("flip"),
            Self::Ask(which) => write!(f, "ask {which}"),
            Self::Unask(which) => write!(f, "unask {which}"),
            Self::Reask(which) => write!(f, "reask {which}"),
            Self::Meddle => f.write_str("meddle"),
            Self::Renew => f.write_str("renew"),
            Self::EditCertificate => f.write_str("edit-certificate"),
            Self::RemakeCertificate => f.write_str("remake-certificate"),
            Self::DeleteRequests => f.write_str("delete-requests"),
            Self::DeleteSecret => f.write_str("delete-secret"),
            Self::EditIssuer => f.write_str("edit-issuer"),
            Self::DeleteIssuer => f.write_str("delete-issuer"),
            Self::RestoreIssuer => f.write_str("restore-issuer"),
            Self::Rotate => f.write_str("rotate"),
            Self::DropCredential => f.write_str("drop-credential"),
            Self::DeleteNamespace => f.write_str("delete-namespace"),
        }
    }
}

impl FromStr for Op {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words.as_slice() {
            ["strike", replica, nth, blow] => Self::Strike(read(replica)?, read(nth)?, read(blow)?),
            ["crash", replica] => Self::Crash(read(replica)?),
            ["restart", replica] => Self::Restart(read(replica)?),
            ["partition", replica, seconds] => Self::Partition(read(replica)?, read(seconds)?),
            ["stale", replica, seconds] => Self::Stale(read(replica)?, read(seconds)?),
            ["cut", replica, kind] => Self::Cut(read(replica)?, read(kind)?),
            ["no-bookmarks", replica, seconds] => Self::NoBookmarks(read(replica)?, read(seconds)?),
            ["skew", replica, seconds] => Self::Skew(read(replica)?, read(seconds)?),
            ["suspend", seconds] => Self::Suspend(read(seconds)?),
            ["compact"] => Self::Compact,
            ["pki", fault, seconds] => Self::Pki(read(fault)?, read(seconds)?),
            ["no-events", seconds] => Self::NoEvents(read(seconds)?),
            ["steal-lease"] => Self::StealLease,
            ["delete-lease"] => Self::DeleteLease,
            ["approve"] => Self::Approve,
            ["deny"] => Self::Deny,
            ["ignore"] => Self::Ignore,
            ["flip"] => Self::Flip,
            ["ask", which] => Self::Ask(read(which)?),
            ["unask", which] => Self::Unask(read(which)?),
            ["reask", which] => Self::Reask(read(which)?),
            ["meddle"] => Self::Meddle,
            ["renew"] => Self::Renew,
            ["edit-certificate"] => Self::EditCertificate,
            ["remake-certificate"] => Self::RemakeCertificate,
            ["delete-requests"] => Self::DeleteRequests,
            ["delete-secret"] => Self::DeleteSecret,
            ["edit-issuer"] => Self::EditIssuer,
            ["delete-issuer"] => Self::DeleteIssuer,
            ["restore-issuer"] => Self::RestoreIssuer,
            ["rotate"] => Self::Rotate,
            ["drop-credential"] => Self::DropCredential,
            ["delete-namespace"] => Self::DeleteNamespace,
            _ => return Err(format!("{text:?} is nothing that can happen")),
        })
    }
}

fn read<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word:?} is not what belongs here"))
}
