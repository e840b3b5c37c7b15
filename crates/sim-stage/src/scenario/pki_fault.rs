//! What can be wrong with a PKI for a while.

use std::fmt;
use std::str::FromStr;

use mock_pki::Fault;

/// What is wrong with the PKI's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PkiFault {
    /// A fault of mock-pki.
    Mock(Mock),
    /// The leaf's PEM ends in the middle.
    TruncatedPem,
    /// The leaf is base64 of DER, without PEM's lines.
    Der,
    /// Where the leaf should be is something else.
    Garbage,
    /// The leaf is the first that this PKI ever issued, whoever asks.
    SomebodyElses,
    /// 400, and the answer holds the token that it was asked with.
    EchoesToken,
}

macro_rules! mock {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal: $fault:expr;)*) => {
        /// Faults of mock-pki, by a name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mock { $($(#[doc = $doc])* $variant),* }

        impl Mock {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What to install.
            pub(crate) fn fault(self) -> Fault {
                match self { $(Self::$variant => $fault),* }
            }
        }
    };
}

fn status(code: u16) -> Fault {
    Fault::new("status").with("status", code)
}

mock! {
    /// A leaf for another key.
    WrongKey = "wrong-key": Fault::new("wrong-key");
    /// The root comes first.
    ShuffledChain = "shuffled-chain": Fault::new("shuffled-chain");
    /// The chain is left out.
    MissingChain = "missing-chain": Fault::new("missing-chain");
    /// A name that nobody asked for.
    ExtraSan = "extra-san": Fault::new("extra-san");
    /// A leaf that has expired.
    ExpiredLeaf = "expired-leaf": Fault::new("expired-leaf");
    /// A leaf of tomorrow.
    FutureLeaf = "future-leaf": Fault::new("future-leaf");
    /// A CA in the chain that signed nothing.
    UnrelatedCa = "unrelated-ca": Fault::new("unrelated-certificate").with("first", true);
    /// An intermediate that has expired.
    ExpiredCa = "expired-ca": Fault::new("unfit-intermediate");
    /// Sealed.
    Sealed = "sealed": Fault::new("sealed");
    /// 400: a policy says no to this request, for ever.
    Refuses = "refuses": status(400).with("body", r#"{"errors":["common name not allowed by this role"]}"#);
    /// 403.
    Forbids = "forbids": status(403).with("body", r#"{"errors":["permission denied"]}"#);
    /// 429 with `Retry-After`.
    Busy = "busy": status(429).with("retry_after", 90);
    /// 500.
    Breaks = "breaks": status(500);
    /// 503.
    Unavailable = "unavailable": status(503);
    /// 504, after the certificate was issued.
    GatewayTimeout = "gateway-timeout": status(504).with("after", true);
    /// Connections are reset.
    Resets = "resets": Fault::new("reset");
    /// Connections are reset after the certificate was issued.
    ResetsAfter = "resets-after": Fault::new("reset").with("after", true);
    /// Connections are closed without an answer.
    Closes = "closes": Fault::new("empty-answer");
    /// A second and a half for each call.
    Slow = "slow": Fault::new("latency").with("milliseconds", 1_500);
    /// Longer than any client waits.
    Hangs = "hangs": Fault::new("latency").with("milliseconds", 400_000);
    /// Drips a byte at a time.
    Drips = "drips": Fault::new("slow-drip").with("milliseconds", 1_000);
    /// 200 and a page.
    Page = "page": Fault::new("wrong-content-type");
    /// A redirect to somebody who would like the token.
    Redirects = "redirects": Fault::new("redirect");
    /// An answer that is too long.
    Floods = "floods": Fault::new("oversized-body").with("bytes", 2_000_000);
}

impl PkiFault {
    const OWN: [Self; 5] =
        [Self::TruncatedPem, Self::Der, Self::Garbage, Self::SomebodyElses, Self::EchoesToken];

    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Mock::ALL.iter().copied().map(Self::Mock).chain(Self::OWN).collect()
    }

    /// Whether a certificate may be issued that is not what was asked for, or not readable as such: a request may fail
    /// for it.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Mock(mock) => matches!(
                mock,
                Mock::WrongKey
                    | Mock::MissingChain
                    | Mock::ExtraSan
                    | Mock::ExpiredLeaf
                    | Mock::FutureLeaf
                    | Mock::UnrelatedCa
                    | Mock::ExpiredCa
                    | Mock::Refuses
            ),
            Self::TruncatedPem | Self::Der | Self::Garbage | Self::SomebodyElses | Self::EchoesToken => true,
        }
    }
}

impl fmt::Display for PkiFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mock(mock) => mock.name(),
            Self::TruncatedPem => "truncated-pem",
            Self::Der => "der",
            Self::Garbage => "garbage",
            Self::SomebodyElses => "somebody-elses",
            Self::EchoesToken => "echoes-token",
        })
    }
}

impl FromStr for PkiFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::all().into_iter().find(|fault| fault.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is no fault of a PKI"))
    }
}
