//! Several reports as a Markdown table.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::error::{LoadError, Result};
use super::process::Cost;
use super::report::{Report, number};

/// Reads files of JSON lines and makes one table of them.
pub fn render(files: &[PathBuf]) -> Result<String> {
    let mut reports = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path).map_err(LoadError::file("read", path))?;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let report: Report = serde_json::from_str(line).map_err(|error| LoadError::Content {
                path: path.clone(),
                problem: format!("line {} is no report: {error}", index + 1),
            })?;
            reports.push(report);
        }
    }
    Ok(markdown(&reports))
}

const HEAD: &str = "\
| run | requests | per second | p50 / p90 / p99 ms | status writes + events per request | CPU s per 1,000 | RSS / peak MiB | API server's CPU s per 1,000 |
|---|---|---|---|---|---|---|---|
";

/// The process whose cost is a column of its own.
const API_SERVER: &str = "kube-apiserver";

fn markdown(reports: &[Report]) -> String {
    let mut text = HEAD.to_owned();
    for report in reports {
        let rate = match (&report.issuance, &report.null) {
            (Some(issuance), _) if issuance.failed > 0 => {
                format!("{:.0} ({} failed)", issuance.issued_per_second, issuance.failed)
            }
            (Some(issuance), _) => format!("{:.0}", issuance.issued_per_second),
            (None, Some(null)) => format!("{:.0}", null.per_second),
            (None, None) => dash(),
        };
        let latency = report.issuance.as_ref().and_then(|issuance| issuance.latency.as_ref());
        let latency =
            latency.or(report.null.as_ref().map(|null| &null.latency)).map_or_else(dash, |latency| {
                format!("{:.0} / {:.0} / {:.0}", latency.p50, latency.p90, latency.p99)
            });
        let calls = report
            .calls_per_request()
            .map_or_else(dash, |[status, events, ..]| format!("{status:.2} + {events:.2}"));
        let api_server = report.processes.iter().find(|cost| cost.name == API_SERVER);
        let others = || report.processes.iter().filter(|cost| cost.name != API_SERVER);
        let memory = cells(others().map(|cost| format!("{:.1} / {:.1}", cost.rss_mib, cost.peak_mib)));
        let cpu = cells(others().filter_map(|cost| per_1000(cost, report.count)));
        let requests = if report.count == 0 { dash() } else { report.count.to_string() };
        let _ = writeln!(
            text,
            "| {} | {requests} | {rate} | {latency} | {calls} | {} | {memory} | {} |",
            report.label,
            cpu,
            api_server.and_then(|cost| per_1000(cost, report.count)).unwrap_or_else(dash),
        );
    }
    text
}

fn per_1000(cost: &Cost, count: usize) -> Option<String> {
    (count > 0).then(|| format!("{:.2}", cost.cpu_seconds * 1000.0 / number(count)))
}

/// One cell for all processes: where there are two, both are shown.
fn cells(each: impl Iterator<Item = String>) -> String {
    let each: Vec<String> = each.collect();
    if each.is_empty() { dash() } else { each.join("; ") }
}

fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::{Issuance, Latency, NullRate};

    #[test]
    fn one_row_for_each_report() {
        let latency = Latency { from: "x".into(), p50: 1.2, p90: 2.0, p99: 30.0, max: 31.0 };
        let cost = |name: &str| Cost { name: name.into(), cpu_seconds: 0.5, rss_mib: 10.0, peak_mib: 12.0 };
        let open = Report {
            label: "ours".into(),
            count: 500,
            issuance: Some(Issuance {
                issued_per_second: 20.0,
                latency: Some(latency.clone()),
                ..Issuance::default()
            }),
            processes: vec![cost(API_SERVER), cost("external-issuer")],
            ..Report::default()
        };
        let null = NullRate { writers: 4, write: "apply".into(), per_second: 300.4, seconds: 1.0, latency };
        let null = Report { label: "null".into(), count: 500, null: Some(null), ..Report::default() };
        let idle =
            Report { label: "idle".into(), processes: vec![cost("external-issuer")], ..Report::default() };
        let rows = "\
| ours | 500 | 20 | 1 / 2 / 30 | – | 1.00 | 10.0 / 12.0 | 1.00 |
| null | 500 | 300 | 1 / 2 / 30 | – | – | – | – |
| idle | – | – | – | – | – | 10.0 / 12.0 | – |
";
        assert_eq!(markdown(&[open, null, idle]), format!("{HEAD}{rows}"));
    }
}
