//! From OTLP names to Prometheus names: the four translation strategies of otlptranslator 1.0.
//!
//! A strategy is two switches: whether suffixes are added and whether names are escaped to the classic character set.
//! The collector's own metrics page uses the same rules with the suffixes of unit and type switched one by one.

use super::model::Kind;

/// How names are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// Put before every metric name, joined by `_`; empty for none.
    pub namespace: String,
    /// Names only of `a-z A-Z 0-9 _ :` (labels without `:`); otherwise names stay as they are.
    pub escape: bool,
    /// Units as suffix: `_milliseconds`, `_per_second`.
    pub unit_suffix: bool,
    /// `_total` for counters, `_ratio` for gauges of unit `1`.
    pub type_suffix: bool,
}

/// Why a name cannot be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but separators.
    #[error("the name is empty or has only underscores after translation")]
    Empty,
    /// Label names that begin with two underscores belong to Prometheus.
    #[error("label names that begin with two underscores are reserved")]
    Reserved,
}

impl Strategy {
    /// The final name of a metric. `monotonic` and `gauge` decide on the type suffix.
    pub fn metric(&self, name: &str, unit: &str, kind: Kind) -> Result<String, NameError> {
        let built = match (self.escape, self.unit_suffix || self.type_suffix) {
            (true, true) => self.escaped_with_suffixes(name, unit, kind),
            (true, false) => self.escaped(name),
            (false, _) => self.unescaped(name, unit, kind),
        };
        let unchanged = built == name;
        if built.is_empty() || (self.escape && !unchanged && built.chars().all(|char| char == '_')) {
            return Err(NameError::Empty);
        }
        Ok(built)
    }

    fn type_suffix(&self, unit: &str, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::Counter if self.type_suffix => Some("total"),
            Kind::Gauge if self.type_suffix && unit == "1" => Some("ratio"),
            _ => None,
        }
    }

    fn escaped_with_suffixes(&self, name: &str, unit: &str, kind: Kind) -> String {
        let mut tokens: Vec<&str> =
            name.split(|char| !is_metric_char(char)).filter(|token| !token.is_empty()).collect();
        let (main, per) = if self.unit_suffix { unit_suffixes(unit) } else { (String::new(), String::new()) };
        let (main, per) = (clean_unit(&main), clean_unit(&per));
        let mut main = if tokens.contains(&main.as_str()) { "" } else { main.as_str() };
        let per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(&per) };
        let per = if tokens.contains(&per) { "" } else { per };
        if !per.is_empty() {
            main = main.strip_suffix('_').unwrap_or(main);
        }
        tokens.extend([main, per].into_iter().filter(|token| !token.is_empty()));
        if let Some(suffix) = self.type_suffix(unit, kind) {
            tokens.retain(|token| *token != suffix);
            tokens.push(suffix);
        }
        if !self.namespace.is_empty() {
            // Upstream does not escape the namespace here; the writer does, for clients that cannot read it.
            tokens.insert(0, &self.namespace);
        }
        digit_guard(tokens.join("_"), "_")
    }

    fn escaped(&self, name: &str) -> String {
        let join = |text: &str| {
            let parts = text.split(|char| !is_metric_char(char) && char != '_').filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join("_")
        };
        if self.namespace.is_empty() {
            digit_guard(join(name), "_")
        } else {
            format!("{}_{}", join(&self.namespace), join(name))
        }
    }

    fn unescaped(&self, name: &str, unit: &str, kind: Kind) -> String {
        let mut built = if self.namespace.is_empty() { name.to_owned() } else { format!("{}_{name}", self.namespace) };
        let type_suffix = self.type_suffix(unit, kind);
        if let Some(suffix) = type_suffix {
            trim_suffix(&mut built, suffix);
        }
        if self.unit_suffix {
            let (main, per) = unit_suffixes(unit);
            if !per.is_empty() {
                trim_suffix(&mut built, &per);
            }
            if !main.is_empty() && !built.ends_with(&main) {
                built.push('_');
                built.push_str(&main);
            }
            if !per.is_empty() {
                built.push('_');
                built.push_str(&per);
            }
        }
        if let Some(suffix) = type_suffix {
            built.push('_');
            built.push_str(suffix);
        }
        built
    }

    /// The final name of a label.
    pub fn label(&self, key: &str) -> Result<String, NameError> {
        let name = if self.escape { escape_label(key) } else { key.to_owned() };
        if name.chars().all(|char| char == '_') {
            Err(NameError::Empty)
        } else if name.starts_with("__") {
            Err(NameError::Reserved)
        } else {
            Ok(name)
        }
    }

    /// The namespace as it stands before `target_info`, which is built by the rules of labels; empty for none.
    #[must_use]
    pub fn label_namespace(&self) -> String {
        if self.namespace.is_empty() { String::new() } else { self.label(&self.namespace).unwrap_or_default() }
    }
}

fn is_metric_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == ':'
}

fn digit_guard(name: String, prefix: &str) -> String {
    if name.starts_with(|char: char| char.is_ascii_digit()) { format!("{prefix}{name}") } else { name }
}

/// Cuts `suffix` and the one character before it, if something is left before that.
fn trim_suffix(name: &mut String, suffix: &str) {
    if let Some(rest) = name.strip_suffix(suffix)
        && rest.len() > 1
    {
        let delimiter = rest.chars().next_back().map_or(0, char::len_utf8);
        name.truncate(rest.len() - delimiter);
    }
}

/// Other characters become `_`, runs of them one `_`; `__x__` stays reserved; `key_` before a digit, `key` before `_`.
fn escape_label(key: &str) -> String {
    let inner = (key.len() >= 4).then(|| key.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"))).flatten();
    let mut name = String::with_capacity(key.len() + 4);
    for char in inner.unwrap_or(key).chars() {
        if char.is_ascii_alphanumeric() {
            name.push(char);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    if inner.is_some() {
        return format!("__{name}__");
    }
    // A lone `_` is refused by the caller, as upstream refuses it; `key_` would hide that there was no name.
    if name.starts_with('_') && name.len() > 1 { format!("key{name}") } else { digit_guard(name, "key_") }
}

fn unit_suffixes(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let usable = |unit: &str| !unit.is_empty() && !unit.contains(['{', '}']);
    let (main, per) = (main.trim(), per.trim());
    let main = if usable(main) { main_unit(main).to_owned() } else { String::new() };
    let per = if usable(per) { format!("per_{}", per_unit(per)) } else { String::new() };
    (main, per)
}

fn clean_unit(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for char in unit.chars() {
        let char = if is_metric_char(char) { char } else { '_' };
        if char != '_' || !out.ends_with('_') {
            out.push(char);
        }
    }
    out.strip_prefix('_').unwrap_or(&out).to_owned()
}

fn main_unit(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        other => other,
    }
}

fn per_unit(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(escape: bool, suffixes: bool, namespace: &str) -> Strategy {
        Strategy { namespace: namespace.to_owned(), escape, unit_suffix: suffixes, type_suffix: suffixes }
    }

    #[test]
    fn escaped_names_with_suffixes() {
        let plain = strategy(true, true, "");
        for (name, unit, kind, want) in [
            ("traces.span.metrics.calls", "", Kind::Counter, "traces_span_metrics_calls_total"),
            ("traces.span.metrics.duration", "ms", Kind::Histogram, "traces_span_metrics_duration_milliseconds"),
            ("a..b--c_", "", Kind::Gauge, "a_b_c"),
            ("total.red.total", "", Kind::Counter, "red_total"),
            ("use", "1", Kind::Gauge, "use_ratio"),
            ("use", "1", Kind::Counter, "use_total"),
            ("speed", "m/s", Kind::Gauge, "speed_meters_per_second"),
            ("speed", "{x}/s", Kind::Gauge, "speed_per_second"),
            ("disk.bytes", "By", Kind::Gauge, "disk_bytes"),
            ("2xx", "", Kind::Gauge, "_2xx"),
            ("odd", "a b/!", Kind::Gauge, "odd_a_b"),
        ] {
            assert_eq!(plain.metric(name, unit, kind).as_deref(), Ok(want), "{name}");
        }
        assert_eq!(plain.metric("...", "", Kind::Gauge), Err(NameError::Empty));
        assert_eq!(
            strategy(true, true, "my-space").metric("a.b", "", Kind::Counter).as_deref(),
            Ok("my-space_a_b_total")
        );
    }

    #[test]
    fn other_strategies() {
        assert_eq!(strategy(true, false, "").metric("a--b__c.d", "ms", Kind::Counter).as_deref(), Ok("a_b__c_d"));
        assert_eq!(strategy(true, false, "n-s").metric("2x", "", Kind::Counter).as_deref(), Ok("n_s_2x"));
        let utf8 = strategy(false, true, "ns");
        assert_eq!(utf8.metric("a.calls.total", "", Kind::Counter).as_deref(), Ok("ns_a.calls_total"));
        assert_eq!(utf8.metric("a.b", "m/s", Kind::Gauge).as_deref(), Ok("ns_a.b_meters_per_second"));
        assert_eq!(strategy(false, false, "").metric("a b", "ms", Kind::Counter).as_deref(), Ok("a b"));
        assert_eq!(strategy(false, false, "").metric("", "ms", Kind::Counter), Err(NameError::Empty));
    }

    #[test]
    fn label_names() {
        let escaped = strategy(true, true, "");
        for (key, want) in [
            ("http.method", "http_method"),
            ("_x", "key_x"),
            ("9lives", "key_9lives"),
            ("d__d", "d_d"),
            ("-y", "key_y"),
            ("h_", "h_"),
            ("x:y", "x_y"),
        ] {
            assert_eq!(escaped.label(key).as_deref(), Ok(want));
        }
        assert_eq!(escaped.label(""), Err(NameError::Empty));
        assert_eq!(escaped.label("\u{43a}\u{43b}"), Err(NameError::Empty));
        assert_eq!(escaped.label("__a__"), Err(NameError::Reserved));
        assert_eq!(strategy(false, true, "").label("a.b").as_deref(), Ok("a.b"));
        assert_eq!(strategy(true, true, "my-shop.9").label_namespace(), "my_shop_9");
    }

    #[test]
    fn own_metrics_switch_suffixes_one_by_one() {
        let only_type = Strategy { unit_suffix: false, ..strategy(true, true, "") };
        assert_eq!(
            only_type.metric("otelcol_process_uptime", "s", Kind::Counter).as_deref(),
            Ok("otelcol_process_uptime_total")
        );
        let only_unit = Strategy { type_suffix: false, ..strategy(true, true, "") };
        assert_eq!(
            only_unit.metric("otelcol_process_uptime", "s", Kind::Counter).as_deref(),
            Ok("otelcol_process_uptime_seconds")
        );
    }
}
