//! What form of the page a client gets, by its `Accept` and `Accept-Encoding`, as promhttp decides it.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING};

use super::text::{Escaping, Syntax};

/// The body's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plain text 0.0.4.
    Plain,
    /// OpenMetrics text of this version.
    OpenMetrics(&'static str),
    /// Length-delimited `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

/// Format and the spelling of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The body's format.
    pub format: Format,
    /// What happens to names outside the classic character set.
    pub escaping: Escaping,
}

impl Negotiated {
    /// The answer's `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> String {
        let kind = match self.format {
            Format::Plain => "text/plain; version=0.0.4; charset=utf-8".to_owned(),
            Format::OpenMetrics(version) => {
                format!("application/openmetrics-text; version={version}; charset=utf-8")
            }
            Format::Protobuf => {
                format!("{PROTOBUF}; proto={MESSAGE}; encoding=delimited")
            }
        };
        format!("{kind}; escaping={}", self.escaping.word())
    }

    /// Which text writer, if it is a text.
    #[must_use]
    pub fn syntax(self) -> Option<Syntax> {
        match self.format {
            Format::Plain => Some(Syntax::Plain),
            Format::OpenMetrics(_) => Some(Syntax::OpenMetrics),
            Format::Protobuf => None,
        }
    }
}

const PROTOBUF: &str = "application/vnd.google.protobuf";
const MESSAGE: &str = "io.prometheus.client.MetricFamily";

struct Clause<'a> {
    kind: &'a str,
    params: Vec<(&'a str, &'a str)>,
    quality: f64,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';');
        let kind = parts.next()?.trim();
        let valid = kind == "*" || kind.split_once('/').is_some_and(|(_, sub)| !sub.is_empty() && !sub.contains('/'));
        if !valid {
            return None;
        }
        let params: Vec<_> =
            parts.filter_map(|part| part.split_once('=')).map(|(key, value)| (key.trim(), value.trim())).collect();
        let quality = params.iter().find(|(key, _)| *key == "q").map_or(1.0, |(_, q)| q.parse().unwrap_or(0.0));
        Some(Self { kind, params, quality })
    }

    fn param(&self, wanted: &str) -> &'a str {
        self.params.iter().find(|(key, _)| *key == wanted).map_or("", |(_, value)| value)
    }
}

/// Looks at the clauses by falling quality; the first that is known decides. Plain text where none is.
///
/// OpenMetrics only if `open_metrics`. The `escaping` of any clause seen on the way counts, as upstream has it. Protobuf
/// in text form, which promhttp also offers, is not: nothing asks for it.
#[must_use]
pub fn negotiate(headers: &HeaderMap, open_metrics: bool) -> Negotiated {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut clauses: Vec<_> = accept.split(',').filter_map(Clause::parse).collect();
    clauses.sort_by(|a, b| {
        let is_wild = |clause: &Clause<'_>| clause.kind.contains('*');
        b.quality.total_cmp(&a.quality).then_with(|| is_wild(a).cmp(&is_wild(b)))
    });
    let mut escaping = Escaping::Underscores;
    for clause in clauses {
        escaping = match clause.param("escaping") {
            "allow-utf-8" => Escaping::AllowUtf8,
            "underscores" => Escaping::Underscores,
            "dots" => Escaping::Dots,
            "values" => Escaping::Values,
            _ => escaping,
        };
        let version = clause.param("version");
        let format = match clause.kind {
            PROTOBUF if clause.param("proto") == MESSAGE && clause.param("encoding") == "delimited" => Format::Protobuf,
            "text/plain" if matches!(version, "" | "0.0.4") => Format::Plain,
            "application/openmetrics-text" if open_metrics && version == "1.0.0" => Format::OpenMetrics("1.0.0"),
            "application/openmetrics-text" if open_metrics && matches!(version, "" | "0.0.1") => {
                Format::OpenMetrics("0.0.1")
            }
            _ => continue,
        };
        return Negotiated { format, escaping };
    }
    Negotiated { format: Format::Plain, escaping }
}

/// Whether the client takes gzip and likes it better than no encoding.
#[must_use]
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut gzip = 0.0;
    let mut identity = 0.0;
    for value in headers.get_all(ACCEPT_ENCODING) {
        for part in value.to_str().unwrap_or_default().split(',') {
            let (name, rest) = part.split_once(';').unwrap_or((part, ""));
            let quality = rest.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse().unwrap_or(0.0_f64));
            match name.trim() {
                "gzip" => gzip = quality,
                "identity" | "*" => identity = quality,
                _ => {}
            }
        }
    }
    gzip > identity
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(accept: &str, open_metrics: bool, content_type: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        assert_eq!(negotiate(&headers, open_metrics).content_type(), content_type, "{accept}");
    }

    #[test]
    fn formats() {
        let plain = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
        assert_eq!(negotiate(&HeaderMap::new(), true).content_type(), plain);
        check("*/*", true, plain);
        check("nonsense, a/b/c", true, plain);
        check("application/openmetrics-text;version=1.0.0", false, plain);
        check(
            "application/openmetrics-text;version=1.0.0",
            true,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        );
        check(
            "application/openmetrics-text",
            true,
            "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=underscores",
        );
        check(
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            false,
            "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8",
        );
        // What Prometheus 3 sends when native histograms are on.
        check(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.2,*/*;q=0.1",
            false,
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; \
             escaping=underscores",
        );
        check(
            "text/plain;q=0.3,application/openmetrics-text;version=1.0.0;escaping=dots;q=0.5",
            false,
            "text/plain; version=0.0.4; charset=utf-8; escaping=dots",
        );
    }

    #[test]
    fn encodings() {
        let takes = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(text));
            takes_gzip(&headers)
        };
        assert!(takes("gzip"));
        assert!(takes("deflate, gzip;q=0.5"));
        assert!(!takes("gzip;q=0"));
        assert!(!takes("identity, gzip"));
        assert!(!takes("br"));
        assert!(!takes(""));
    }
}
