//! What can happen to one request that a process sends, to the API server or to the PKI alike.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use sim_kube::Cut;

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// The process dies before the request leaves it.
    CrashBefore,
    /// The request is carried out, and the process dies before it has the answer.
    CrashAfter,
    /// The connection is reset; the request is not carried out.
    Lost,
    /// The request is carried out, and the connection is reset before the answer.
    AnswerLost,
    /// The request does not arrive, and nobody says so: the client waits for its own time-out.
    Silent,
    /// The request is carried out, and the answer does not come: the client waits for its own time-out.
    AnswerSilent,
    /// It is not carried out, and answered with this status.
    Status(u16),
    /// It is not carried out, and answered with 429 and these seconds as `Retry-After`.
    Busy(u16),
    /// It arrives these milliseconds later, even if the client has given up by then.
    Slow(u32),
    /// Its answer comes these milliseconds later.
    SlowAnswer(u32),
    /// From here on, and for these seconds, the process is shown nothing newer: its watches stand still, and a list
    /// at "any" revision is old.
    Stale(u16),
    /// All watches of the process end here.
    Cut(CutKind),
}

/// How watches end before their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CutKind {
    /// The stream just ends.
    End,
    /// With an ERROR that the revision is too old (410).
    Expired,
    /// With a line that is no JSON.
    Garbage,
    /// In the middle of a line.
    HalfLine,
}

impl CutKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::End, Self::Expired, Self::Garbage, Self::HalfLine];

    pub(crate) fn cut(self) -> Cut {
        match self {
            Self::End => Cut::End,
            Self::Expired => Cut::Expired,
            Self::Garbage => Cut::Garbage(Bytes::from_static(b"\x7f<html>502 Bad Gateway</html>\n")),
            Self::HalfLine => {
                Cut::Garbage(Bytes::from_static(b"{\"type\":\"MODIFIED\",\"object\":{\"apiVersi"))
            }
        }
    }
}

impl Blow {
    /// Those that every request of a sweep meets, one after the other.
    pub const SWEEP: [Self; 8] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::AnswerSilent,
        Self::Status(409),
        Self::Busy(7),
        Self::Status(500),
        Self::Lost,
        Self::Stale(60),
    ];

    /// Further ones, for sweeps that take their time and for seeds.
    pub const MORE: [Self; 10] = [
        Self::AnswerLost,
        Self::Silent,
        Self::Status(503),
        Self::Status(403),
        Self::Slow(40_000),
        Self::SlowAnswer(20_000),
        Self::Cut(CutKind::End),
        Self::Cut(CutKind::Expired),
        Self::Cut(CutKind::Garbage),
        Self::Cut(CutKind::HalfLine),
    ];

    /// Whether the process dies of it.
    #[must_use]
    pub const fn kills(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CrashBefore => f.write_str("crash-before"),
            Self::CrashAfter => f.write_str("crash-after"),
            Self::Lost => f.write_str("lost"),
            Self::AnswerLost => f.write_str("answer-lost"),
            Self::Silent => f.write_str("silent"),
            Self::AnswerSilent => f.write_str("answer-silent"),
            Self::Status(code) => write!(f, "status:{code}"),
            Self::Busy(seconds) => write!(f, "busy:{seconds}"),
            Self::Slow(milliseconds) => write!(f, "slow:{milliseconds}"),
            Self::SlowAnswer(milliseconds) => write!(f, "slow-answer:{milliseconds}"),
            Self::Stale(seconds) => write!(f, "stale:{seconds}"),
            Self::Cut(kind) => write!(f, "cut:{kind}"),
        }
    }
}

impl FromStr for Blow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, number) = text.split_once(':').unwrap_or((text, ""));
        let wrong = || format!("{text:?} is nothing that can happen to a request");
        Ok(match word {
            "crash-before" => Self::CrashBefore,
            "crash-after" => Self::CrashAfter,
            "lost" => Self::Lost,
            "answer-lost" => Self::AnswerLost,
            "silent" => Self::Silent,
            "answer-silent" => Self::AnswerSilent,
            "status" => Self::Status(number.parse().map_err(|_| wrong())?),
            "busy" => Self::Busy(number.parse().map_err(|_| wrong())?),
            "slow" => Self::Slow(number.parse().map_err(|_| wrong())?),
            "slow-answer" => Self::SlowAnswer(number.parse().map_err(|_| wrong())?),
            "stale" => Self::Stale(number.parse().map_err(|_| wrong())?),
            "cut" => Self::Cut(number.parse()?),
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for CutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "end",
            Self::Expired => "expired",
            Self::Garbage => "garbage",
            Self::HalfLine => "half-line",
        })
    }
}

impl FromStr for CutKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| format!("{text:?} is no way for a watch to end"))
    }
}
