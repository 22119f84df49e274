//! Metrics as text: OpenMetrics 1.0, and the format of Prometheus before it. They differ in little, and all of it is here.

use std::fmt::Write;
use std::time::Duration;

use crate::observe::Snapshot;

/// What all metrics of one name have in common.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name without any suffix.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// What it says.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

/// Kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; samples end in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Durations in buckets; samples end in `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Durations in all; samples end in `_sum` and `_count`.
    Summary,
    /// Always 1, its labels tell; the sample ends in `_info`.
    Info,
}

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4.
    Prometheus,
}

impl Family {
    /// The name of the family's counter, gauge or information, as queries name it.
    fn plain(&self) -> String {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram | Kind::Summary => "",
        };
        format!("{}{suffix}", self.name)
    }

    /// The names of its samples, as queries name them, each with the names of its labels.
    pub fn samples(&self) -> Vec<(String, Vec<&'static str>)> {
        let labels = self.labels.to_vec();
        let with = |suffix: &str| (format!("{}{suffix}", self.name), labels.clone());
        match self.kind {
            Kind::Counter | Kind::Gauge | Kind::Info => vec![(self.plain(), labels)],
            Kind::Summary => vec![with("_sum"), with("_count")],
            Kind::Histogram => {
                let buckets = [self.labels, &["le"]].concat();
                vec![(format!("{}_bucket", self.name), buckets), with("_sum"), with("_count")]
            }
        }
    }
}

impl Format {
    /// The format that an `Accept` header asks for; the older one unless OpenMetrics is named and wanted no less.
    pub fn accepted(accept: &str) -> Format {
        let (mut open, mut text) = (0.0_f64, 0.0_f64);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut weight, mut known) = (1.0_f64, true);
            for (key, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match key.trim().to_ascii_lowercase().as_str() {
                    "q" => weight = value.parse().unwrap_or(0.0),
                    "version" if media.starts_with("application/") => known = value == "1.0.0",
                    "version" => known = value == "0.0.4",
                    _ => {}
                }
            }
            let wanted = match media.as_str() {
                "application/openmetrics-text" => &mut open,
                "text/plain" | "text/*" | "*/*" => &mut text,
                _ => continue,
            };
            if known {
                *wanted = weight.max(*wanted);
            }
        }
        if open > 0.0 && open >= text { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// What `Content-Type` says of it.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A text under way.
pub(super) struct Exposition {
    format: Format,
    text: String,
}

/// The samples of a family under way.
pub(super) struct Samples<'a> {
    of: &'a mut Exposition,
    family: &'a Family,
}

impl Exposition {
    /// Nothing yet.
    pub(super) fn new(format: Format) -> Self {
        Exposition { format, text: String::with_capacity(16 << 10) }
    }

    /// Begins a family. All of its samples come before the next one begins.
    pub(super) fn family<'a>(&'a mut self, family: &'a Family) -> Samples<'a> {
        let (name, kind) = match (self.format, family.kind) {
            (Format::OpenMetrics, _) => (family.name.to_owned(), family.kind.word()),
            // The older format has no such kind.
            (Format::Prometheus, Kind::Info) => (family.plain(), Kind::Gauge.word()),
            (Format::Prometheus, _) => (family.plain(), family.kind.word()),
        };
        self.line(format_args!("# HELP {name} {}", family.help));
        self.line(format_args!("# TYPE {name} {kind}"));
        Samples { of: self, family }
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.line(format_args!("# EOF"));
        }
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

impl Samples<'_> {
    /// A number; the values stand for the family's labels, in their order.
    pub(super) fn number(&mut self, values: &[&str], number: impl std::fmt::Display) {
        let name = self.family.plain();
        self.sample(&name, values, None, &number);
    }

    /// How many durations there were, and their sum.
    pub(super) fn durations(&mut self, values: &[&str], count: u64, sum: Duration) {
        self.suffixed("_sum", values, None, &sum.as_secs_f64());
        self.suffixed("_count", values, None, &count);
    }

    /// A histogram.
    pub(super) fn histogram(&mut self, values: &[&str], snapshot: &Snapshot) {
        for (bound, count) in &snapshot.buckets {
            let seconds = bound.as_secs_f64();
            let bound = match self.of.format {
                // There a bound is written as a float, also when it is whole.
                Format::OpenMetrics => format!("{seconds:?}"),
                Format::Prometheus => seconds.to_string(),
            };
            self.suffixed("_bucket", values, Some(&bound), count);
        }
        self.suffixed("_bucket", values, Some("+Inf"), &snapshot.count);
        self.durations(values, snapshot.count, snapshot.sum);
    }

    fn suffixed(&mut self, suffix: &str, values: &[&str], le: Option<&str>, number: &dyn std::fmt::Display) {
        let name = format!("{}{suffix}", self.family.name);
        self.sample(&name, values, le, number);
    }

    fn sample(&mut self, name: &str, values: &[&str], le: Option<&str>, number: &dyn std::fmt::Display) {
        debug_assert_eq!(values.len(), self.family.labels.len(), "{name}");
        let mut line = name.to_owned();
        let labels = self.family.labels.iter().copied().zip(values.iter().copied());
        for (i, (label, value)) in labels.chain(le.map(|le| ("le", le))).enumerate() {
            line.push(if i == 0 { '{' } else { ',' });
            line.push_str(label);
            line.push_str("=\"");
            push_escaped(&mut line, value);
            line.push('"');
        }
        if line.len() > name.len() {
            line.push('}');
        }
        self.of.line(format_args!("{line} {number}"));
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
            Kind::Info => "info",
        }
    }
}

fn push_escaped(line: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            '"' => line.push_str("\\\""),
            '\n' => line.push_str("\\n"),
            c => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_openmetrics_gets_it_and_everyone_else_the_older_format() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let only_old = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", Format::Prometheus),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", Format::OpenMetrics),
            ("text/plain, application/openmetrics-text;q=0.9", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text;q=nonsense;;,,;=", Format::Prometheus),
            (prometheus, Format::OpenMetrics),
            (only_old, Format::Prometheus),
        ] {
            assert_eq!(Format::accepted(accept), expected, "{accept}");
        }
    }
}
