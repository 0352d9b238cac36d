//! Random configurations of the processor: every type of policy, nested where that is allowed, and the processor's own
//! keys.

use std::fmt::Write as _;

use super::Random;

/// What may be nested in a policy.
#[derive(Clone, Copy)]
struct Allowed {
    /// Limits, and bounds that a trace can grow out of.
    stateful: bool,
}

impl Random {
    /// The keys below `decision_wait`.
    pub(super) fn processor(&mut self) -> String {
        let mut out = String::new();
        let mut allowed = Allowed { stateful: true };
        if self.once_in(5) {
            out.push_str("    sampling_strategy: span-ingest\n");
            allowed.stateful = false;
        }
        let options = [
            "    sample_on_first_match: true\n",
            "    decision_cache: {sampled_cache_size: 10000, non_sampled_cache_size: 10000}\n",
            "    decision_cache: {sampled_cache_size: 10000}\n",
            "    num_shards: 3\n",
            "    decision_wait_after_root_received: 4s\n",
            "    maximum_trace_size_bytes: 900\n",
            "    maximum_trace_size_bytes: 2500\n",
        ];
        for option in options {
            let key = option.split(':').next().unwrap_or(option);
            if self.once_in(6) && !out.contains(key) {
                out.push_str(option);
            }
        }
        out.push_str("    policies:\n");
        for number in 0..1 + self.below(5) {
            let policy = self.policy(allowed);
            // Writing to a String cannot fail.
            let _ = writeln!(out, "      - {{name: p{number}, {policy}}}");
        }
        out
    }

    fn policy(&mut self, allowed: Allowed) -> String {
        match self.below(9) {
            0 | 1 => self.and(allowed),
            2 => {
                let members = self.members(allowed);
                format!("type: drop, drop: {{drop_sub_policy: [{members}]}}")
            }
            3 => self.not(allowed),
            4 => {
                // With a total of 1, no trace fits.
                let total = self.one_of(&["1000000", "1"]);
                let member =
                    |random: &mut Self| if random.once_in(3) { random.and(allowed) } else { random.leaf(allowed) };
                let (a, b, c) = (member(self), member(self), member(self));
                format!(
                    "type: composite, composite: {{max_total_spans_per_second: {total}, policy_order: [a, b, c], \
                     composite_sub_policy: [{{name: a, {a}}}, {{name: b, {b}}}, {{name: c, {c}}}], \
                     rate_allocation: [{{policy: a, percent: 50}}, {{policy: b, percent: 25}}, \
                     {{policy: c, percent: 10}}]}}"
                )
            }
            _ => self.leaf(allowed),
        }
    }

    fn and(&mut self, allowed: Allowed) -> String {
        format!("type: and, and: {{and_sub_policy: [{}]}}", self.members(allowed))
    }

    fn not(&mut self, allowed: Allowed) -> String {
        format!("type: not, not: {{not_sub_policy: {{name: n, {}}}}}", self.leaf(allowed))
    }

    /// Of `and` and `drop`.
    fn members(&mut self, allowed: Allowed) -> String {
        let members: Vec<String> = (0..1 + self.below(3))
            .map(|number| {
                let member = if self.once_in(5) { self.not(allowed) } else { self.leaf(allowed) };
                format!("{{name: m{number}, {member}}}")
            })
            .collect();
        members.join(", ")
    }

    fn leaf(&mut self, allowed: Allowed) -> String {
        let invert = self.one_of(&["true", "false"]);
        let percent = self.one_of(&["0", "5", "33.3", "50", "90", "100", "150", "-1"]);
        let bound = |random: &mut Self, all: &[&'static str]| if allowed.stateful { random.one_of(all) } else { "0" };
        match self.below(if allowed.stateful { 18 } else { 16 }) {
            0 => "type: always_sample".to_owned(),
            1 => format!("type: latency, latency: {{threshold_ms: {}}}", self.one_of(&["0", "99", "100", "250", "-5"])),
            2 => format!(
                "type: numeric_attribute, numeric_attribute: {{key: {}, min_value: {}, max_value: {}, invert_match: \
                 {invert}}}",
                self.one_of(&["http.status_code", "weight", "tier", "level"]),
                self.one_of(&["200", "400", "-5", "0"]),
                self.one_of(&["299", "499", "600", "-1"])
            ),
            3 => format!("type: probabilistic, probabilistic: {{sampling_percentage: {percent}}}"),
            4 => format!("type: probabilistic, probabilistic: {{hash_salt: pepper, sampling_percentage: {percent}}}"),
            5 => format!(
                "type: status_code, status_code: {{status_codes: [{}]}}",
                self.one_of(&["ERROR", "OK", "UNSET", "ERROR, OK"])
            ),
            6 => format!(
                "type: string_attribute, string_attribute: {{key: {}, values: [{}], invert_match: {invert}}}",
                self.one_of(&["tier", "service.name", "http.status_code", "level"]),
                self.one_of(&["gold", "gold, silver", "shop-1", "'200'", "''", "", "high, ''"])
            ),
            7 => format!(
                "type: string_attribute, string_attribute: {{key: {}, values: ['{}'], enabled_regex_matching: true, \
                 cache_max_size: 2, invert_match: {invert}}}",
                self.one_of(&["tier", "service.name", "level"]),
                self.one_of(&["^g", "l", "er$", ".*", "(?i)GOLD|none", "^$", "shop-[12]", "hi\\wh"])
            ),
            8 => format!(
                "type: span_count, span_count: {{min_spans: {}, max_spans: {}}}",
                self.one_of(&["0", "2", "5"]),
                bound(self, &["0", "5", "7"])
            ),
            9 => format!(
                "type: trace_state, trace_state: {{key: {}, values: [{}]}}",
                self.one_of(&["vendor", "x"]),
                self.one_of(&["a", "b, c", "y", "''"])
            ),
            10 => "type: trace_flags".to_owned(),
            11 => format!(
                "type: boolean_attribute, boolean_attribute: {{key: {}, value: {}, invert_match: {invert}}}",
                self.one_of(&["cached", "tier", "level"]),
                self.one_of(&["true", "false"])
            ),
            12..=14 => {
                let mode = self.error_mode();
                let conditions: Vec<String> =
                    (0..1 + self.below(2)).map(|_| format!("'{}'", self.condition(2))).collect();
                format!("type: ottl_condition, ottl_condition: {{{mode}span: [{}]}}", conditions.join(", "))
            }
            15 => {
                let mode = self.error_mode();
                let event = self.event_condition();
                let span = if self.once_in(3) { format!(", span: ['{}']", self.condition(1)) } else { String::new() };
                format!("type: ottl_condition, ottl_condition: {{{mode}spanevent: ['{event}']{span}}}")
            }
            // A trace of one span fits into a burst of two, so 1 is not among the rates.
            16 => {
                format!("type: rate_limiting, rate_limiting: {{spans_per_second: {}}}", self.one_of(&["0", "1000000"]))
            }
            _ => format!(
                "type: bytes_limiting, bytes_limiting: {{bytes_per_second: {}}}",
                self.one_of(&["1", "1000000000"])
            ),
        }
    }

    fn error_mode(&mut self) -> &'static str {
        self.one_of(&["error_mode: ignore, ", "error_mode: silent, ", "error_mode: propagate, ", ""])
    }

    fn event_condition(&mut self) -> &'static str {
        self.one_of(&[
            "name == \"exception\"",
            "attributes[\"retry\"] == \"2\"",
            "spanevent.name != \"exception\" and span.status.code == STATUS_CODE_ERROR",
            "IsMatch(attributes[\"retry\"], \"^[0-9]+$\") and Int(attributes[\"retry\"]) > 1",
            "time_unix_nano > 0 and resource.attributes[\"service.name\"] == \"shop-2\"",
        ])
    }

    /// An OTTL condition over spans.
    fn condition(&mut self, depth: u32) -> String {
        if depth > 0 && self.once_in(2) {
            let (a, b) = (self.condition(depth - 1), self.condition(depth - 1));
            return match self.below(3) {
                0 => format!("({a} and {b})"),
                1 => format!("({a} or {b})"),
                _ => format!("not ({a})"),
            };
        }
        let atom = self.one_of(&[
            "attributes[\"http.status_code\"] >= 500",
            "attributes[\"http.status_code\"] == \"200\"",
            "attributes[\"http.status_code\"] != 200",
            "name == \"GET /pay\"",
            "kind == SPAN_KIND_CLIENT",
            "IsRootSpan()",
            "attributes[\"tier\"] != nil",
            "attributes[\"tier\"] == \"\"",
            "IsMatch(name, \"^GET /[a-p]\")",
            "IsMatch(attributes[\"tier\"], \"old$\")",
            "resource.attributes[\"service.name\"] == \"shop-2\"",
            "resource.attributes[\"level\"] == nil",
            "instrumentation_scope.name == \"second\"",
            "(end_time - start_time) > Duration(\"100ms\")",
            "status.code == STATUS_CODE_ERROR",
            "attributes[\"cached\"] == true",
            "IsString(attributes[\"tier\"])",
            "Len(attributes) > 2",
            // Fails where the attribute is no string.
            "Len(attributes[\"tier\"]) > 3",
            "Split(attributes[\"tier\"], \"l\")[0] == \"go\"",
            // Of a text that is no number Int makes nothing in OTTL 0.159, which the peer has, and fails in later ones.
            "IsInt(attributes[\"tier\"]) and Int(attributes[\"tier\"]) == 7",
            "Concat([name, attributes[\"tier\"]], \"-\") == \"work-gold\"",
            "trace_state[\"vendor\"] == \"a\"",
            "parent_span_id == SpanID(0x0000000000000000)",
            "attributes[\"weight\"] > 1.5",
            "ParseJSON(attributes[\"doc\"])[\"a\"] == 1",
        ]);
        atom.to_owned()
    }
}
