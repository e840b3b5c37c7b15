//! The figures of one run, for people and as JSON.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::audit::Calls;
use super::board::{End, Record};
use super::process::Cost;

/// The figures of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What the run is called.
    pub label: String,
    /// The mode.
    pub mode: String,
    /// How many requests.
    pub count: usize,
    /// Approvals a second, if they were paced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// What became of the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuance: Option<Issuance>,
    /// The null writer's rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null: Option<NullRate>,
    /// What processes cost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Cost>,
    /// Calls to the API server, our own left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<Vec<Calls>>,
    /// Whose calls are summed up: the beginning of a client's name. Everybody's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// What became of the requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuance {
    /// Ready.
    pub issued: usize,
    /// Failed or denied.
    pub failed: usize,
    /// What the first failed one says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// From the first Ready to the last, how many a second.
    pub issued_per_second: f64,
    /// From the first Ready to the last.
    pub seconds: f64,
    /// From the start of the issuer to the first Ready; only if we started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_after_start: Option<f64>,
    /// From Approved to Ready, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// How many were first seen when they were Ready already, and are left out of the latency.
    #[serde(default)]
    pub unseen: usize,
    /// How late the generator was at worst in an open loop, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_approval: Option<f64>,
    /// How often the watch broke, which spoils the latencies.
    pub watch_restarts: usize,
}

/// Percentiles in milliseconds, by nearest rank.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Where time begins: `approval seen` or `write begun`.
    pub from: String,
    /// Half are faster.
    pub p50: f64,
    /// Nine of ten are faster.
    pub p90: f64,
    /// All but one of a hundred are faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// The null writer's rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NullRate {
    /// How many writers.
    pub writers: usize,
    /// The kind of write.
    pub write: String,
    /// From the first answer to the last, how many a second: as an issuer's rate is counted.
    pub per_second: f64,
    /// From the first answer to the last.
    pub seconds: f64,
    /// From a write's start to its answer, in milliseconds.
    pub latency: Latency,
}

impl Latency {
    /// The percentiles of some times; `None` if there are none.
    #[must_use]
    pub fn of(mut times: Vec<Duration>, from: &str) -> Option<Self> {
        times.sort_unstable();
        let rank = |percent: usize| -> Option<f64> {
            let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(index).map(|time| millis(*time))
        };
        Some(Self { from: from.to_owned(), p50: rank(50)?, p90: rank(90)?, p99: rank(99)?, max: rank(100)? })
    }
}

impl Issuance {
    /// Reads it off the records.
    #[must_use]
    pub fn of(records: &[Record], watch_restarts: usize) -> Self {
        let mut ready: Vec<_> = Vec::new();
        let mut failures: Vec<&str> = Vec::new();
        for record in records {
            match &record.end {
                Some((at, End::Issued)) => ready.push(*at),
                Some((_, End::Failed(why))) => failures.push(why),
                None => {}
            }
        }
        ready.sort_unstable();
        let (issued_per_second, span) = rate(&ready);
        let times: Vec<Duration> = records.iter().filter_map(Record::latency).collect();
        let unseen = ready.len() - times.len();
        Self {
            issued: ready.len(),
            failed: failures.len(),
            failure: failures.first().map(|why| (*why).to_owned()),
            issued_per_second,
            seconds: span.as_secs_f64(),
            first_after_start: None,
            latency: Latency::of(times, "approval seen"),
            unseen,
            latest_approval: None,
            watch_restarts,
        }
    }
}

/// From the first of these moments to the last: how many a second, and how long. They are in order.
#[must_use]
pub fn rate(moments: &[Instant]) -> (f64, Duration) {
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else { return (0.0, Duration::ZERO) };
    let span = last.saturating_duration_since(*first);
    let count = number(moments.len().saturating_sub(1));
    (if span.is_zero() { 0.0 } else { count / span.as_secs_f64() }, span)
}

pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub(super) fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

impl Report {
    /// The issuer's calls per request: status writes, events, everything else that writes, and reads. What was refused
    /// is listed, not summed.
    #[must_use]
    pub fn calls_per_request(&self) -> Option<[f64; 4]> {
        let calls = self.calls.as_ref()?;
        let client = self.client.as_deref().unwrap_or_default();
        let mut sums = [0_u64; 4];
        for call in calls.iter().filter(|call| call.refused.is_none() && call.client.starts_with(client)) {
            let [status, events, writes, reads] = &mut sums;
            let sum = match call.call.split_once(' ') {
                Some((_, "certificaterequests/status")) => status,
                Some((_, "events")) => events,
                _ if call.is_write() => writes,
                _ => reads,
            };
            *sum += call.count;
        }
        Some(sums.map(|sum| number(usize::try_from(sum).unwrap_or(usize::MAX)) / number(self.count.max(1))))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} requests", self.label, self.count)?;
        if let Some(rate) = self.rate {
            write!(f, " at {rate}/s")?;
        }
        writeln!(f, " ({})", self.mode)?;
        if let Some(issuance) = &self.issuance {
            issuance.fmt(f)?;
        }
        if let Some(null) = &self.null {
            let NullRate { writers, write, per_second, seconds, latency } = null;
            writeln!(f, "  {per_second:.0} writes/s in {seconds:.1} s, {writers} writers, by {write}")?;
            latency.fmt(f)?;
        }
        for Cost { name, cpu_seconds, rss_mib, peak_mib } in &self.processes {
            let per_1000 = cpu_seconds * 1000.0 / number(self.count.max(1));
            write!(
                f,
                "  {name}: {rss_mib:.1} MiB resident, {peak_mib:.1} MiB at most, {cpu_seconds:.2} CPU s"
            )?;
            if self.count > 0 {
                write!(f, " ({per_1000:.2} per 1,000 requests)")?;
            }
            writeln!(f)?;
        }
        if let Some([status, events, writes, reads]) = self.calls_per_request() {
            let whose = self.client.as_deref().map(|client| format!(" of {client}")).unwrap_or_default();
            writeln!(
                f,
                "  calls{whose} per request: {status:.2} status writes, {events:.2} events, {writes:.2} other writes, {reads:.2} reads"
            )?;
        }
        for Calls { user, client, call, refused, count } in self.calls.iter().flatten() {
            let refused = refused.map(|code| format!(" answered {code}")).unwrap_or_default();
            writeln!(f, "    {count} × {call}{refused} by {client} ({user})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Issuance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issued, failed, issued_per_second, seconds, .. } = self;
        writeln!(
            f,
            "  {issued} issued, {failed} failed; {issued_per_second:.1} issued/s over {seconds:.1} s"
        )?;
        if let Some(why) = &self.failure {
            writeln!(f, "  the first that failed: {why}")?;
        }
        if let Some(first) = self.first_after_start {
            writeln!(f, "  first Ready {first:.2} s after the issuer's start")?;
        }
        if let Some(latency) = &self.latency {
            latency.fmt(f)?;
        }
        if let Some(latest) = self.latest_approval {
            writeln!(f, "  the generator was at most {latest:.1} ms late")?;
            if self.latency.as_ref().is_some_and(|latency| latest > latency.p50) {
                writeln!(
                    f,
                    "  that is more than half of the requests took: the load was not as even as it should be"
                )?;
            }
        }
        if self.unseen > 0 {
            writeln!(
                f,
                "  {} were first seen when they were Ready already: not in the latencies",
                self.unseen
            )?;
        }
        if self.watch_restarts > 0 {
            writeln!(
                f,
                "  the watch broke {} times: the latencies are not to be trusted",
                self.watch_restarts
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, p50, p90, p99, max } = self;
        writeln!(f, "  from {from}: p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, at most {max:.1} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let times = (1..=200).map(Duration::from_millis).rev().collect();
        let latency = Latency::of(times, "x").unwrap();
        assert_eq!((latency.p50, latency.p90, latency.p99, latency.max), (100.0, 180.0, 198.0, 200.0));
        let one = Latency::of(vec![Duration::from_millis(3)], "x").unwrap();
        assert_eq!((one.p50, one.p99, one.max), (3.0, 3.0, 3.0));
        assert_eq!(Latency::of(Vec::new(), "x"), None);
    }

    #[test]
    fn the_rate_is_from_the_first_ready_to_the_last() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let record = |ready: u64| Record {
            approved: Some(begin),
            end: Some((at(ready), End::Issued)),
            ..Record::default()
        };
        let failed = Record { end: Some((at(9), End::Failed("no".into()))), ..Record::default() };
        let unseen = Record { approved: Some(at(15)), ..record(15) };
        let records = [record(5), record(10), unseen, failed];
        let issuance = Issuance::of(&records, 0);
        assert_eq!((issuance.issued, issuance.failed, issuance.failure.as_deref()), (3, 1, Some("no")));
        assert!((issuance.issued_per_second - 0.2).abs() < 1e-9, "{issuance:?}");
        // Of three, one is not known.
        assert_eq!(issuance.unseen, 1);
        assert!((issuance.latency.unwrap().p50 - 5_000.0).abs() < 1e-9);
    }

    #[test]
    fn only_the_issuer_s_calls_that_were_answered_are_summed() {
        let call = |client: &str, call: &str, refused| Calls {
            user: "a:b".into(),
            client: client.into(),
            call: call.into(),
            refused,
            count: 10,
        };
        let status = "patch certificaterequests/status";
        let report = Report {
            count: 10,
            calls: Some(vec![
                call("issuer", status, None),
                call("issuer", status, Some(409)),
                call("issuer", "create events", None),
                call("approver", status, None),
            ]),
            client: Some("issuer".into()),
            ..Report::default()
        };
        let sums = |report: &Report| report.calls_per_request().unwrap().map(|sum| format!("{sum:.1}"));
        assert_eq!(sums(&report), ["1.0", "1.0", "0.0", "0.0"]);
        assert_eq!(sums(&Report { client: None, ..report }), ["2.0", "1.0", "0.0", "0.0"]);
    }
}
