//! Feature gates: every id that the Go collector's releases of the matched version know.
//!
//! Command lines of Go deployments are accepted as they are. A gate that changes nothing here says so when it is set; an
//! unknown id is refused. The choice is made once, by the command line, so it is global, as upstream's.

use std::sync::OnceLock;

/// A gate as upstream declares it.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Its id.
    pub id: &'static str,
    /// `Alpha` (off unless set) or `Beta` (on unless set).
    pub stage: &'static str,
    /// What it does upstream.
    pub description: &'static str,
    /// True if this program asks for it.
    pub works: bool,
}

impl Gate {
    /// Its state if the command line does not say anything.
    #[must_use]
    pub fn default_on(&self) -> bool {
        self.stage == "Beta"
    }
}

const fn gate(id: &'static str, stage: &'static str, works: bool, description: &'static str) -> Gate {
    Gate { id, stage, description, works }
}

/// All gates, by id.
pub const GATES: &[Gate] = &[
    gate(
        "confmap.enableMergeAppendOption",
        "Alpha",
        true,
        "Lists of extensions, receivers and exporters of several sources are appended",
    ),
    gate("connector.spanmetrics.excludeResourceMetrics", "Alpha", false, "Span metrics leave out resource attributes"),
    gate("connector.spanmetrics.includeCollectorInstanceID", "Beta", false, "Span metrics carry collector.instance.id"),
    gate("connector.spanmetrics.legacyMetricNames", "Alpha", false, "Span metrics have no default namespace"),
    gate("connector.spanmetrics.useSecondAsDefaultMetricsUnit", "Alpha", false, "Span metrics are in seconds"),
    gate(
        "exporter.prometheus.DisableResourceToTelemetryConversion",
        "Alpha",
        false,
        "Refuses resource_to_telemetry_conversion",
    ),
    gate("exporter.prometheusexporter.DisableAddMetricSuffixes", "Beta", false, "Ignores add_metric_suffixes"),
    gate("extension.healthcheck.useComponentStatus", "Alpha", false, "Health check by component status"),
    gate("ottl.functions.enableLambda", "Alpha", false, "OTTL lambda arguments"),
    gate("pdata.useProtoPooling", "Alpha", false, "Recycles decoded messages"),
    gate("pkg.confighttp.PrioritizeNewKeepalive", "Beta", false, "New keep-alive keys win"),
    gate("pkg.exporterhelper.queueBatchEnabled", "Alpha", false, "Exporters batch by default"),
    gate("pkg.ottl.functions.enableDynamicSliceArguments", "Beta", false, "OTTL slice arguments may be values"),
    gate("pkg.ottl.functions.enableExperimental", "Alpha", false, "Experimental OTTL functions"),
    gate(
        "pkg.translator.prometheus.PermissiveLabelSanitization",
        "Alpha",
        false,
        "Keeps leading underscores of labels",
    ),
    gate("processor.k8sattributes.DontEmitV0K8sConventions", "Beta", true, "No old Kubernetes attribute names"),
    gate("processor.k8sattributes.EmitV1K8sConventions", "Beta", true, "New Kubernetes attribute names"),
    gate("processor.k8sattributes.telemetry.enableNewFormatMetrics", "Beta", false, "New names of own metrics"),
    gate(
        "processor.tailsamplingprocessor.metricstatcountbytessampled",
        "Alpha",
        true,
        "Bytes are counted by policy and decision",
    ),
    gate(
        "processor.tailsamplingprocessor.metricstatcountspanssampled",
        "Alpha",
        true,
        "Spans are counted by policy and decision",
    ),
    gate("processor.tailsamplingprocessor.recordpolicy", "Alpha", true, "Scopes of kept spans name the policy"),
    gate("processor.tailsamplingprocessor.tailstorageextension", "Alpha", false, "Traces wait in a storage extension"),
    gate("processor.tailsamplingprocessor.usetracestate", "Alpha", false, "Sampling by the trace state's threshold"),
    gate("receiverhelper.newReceiverMetrics", "Alpha", false, "Receivers tell refused from failed"),
    gate("service.AllowNoPipelines", "Alpha", false, "A service without pipelines may run"),
    gate("service.partialReload", "Alpha", false, "Reload restarts only what changed"),
    gate("service.partialReloadReceivers", "Beta", false, "Reload restarts only changed receivers"),
    gate("service.profilesSupport", "Alpha", false, "Pipelines of profiles"),
    gate("spanmetrics.statusCodeConvention.useOtelPrefix", "Alpha", false, "Span metrics write otel.status_code"),
    gate("telemetry.newPipelineTelemetry", "Alpha", false, "Metrics of every pipeline edge"),
];

/// What the command line chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    set: Vec<(&'static str, bool)>,
}

impl Gates {
    /// Parses `a,+b,-c`.
    pub fn parse(lists: &[String]) -> Result<Self, String> {
        let mut set = Vec::new();
        for item in lists.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|item| !item.is_empty()) {
            let (id, on) = match item.strip_prefix('-') {
                Some(id) => (id, false),
                None => (item.strip_prefix('+').unwrap_or(item), true),
            };
            let Some(gate) = GATES.iter().find(|gate| gate.id == id) else {
                let valid: Vec<&str> = GATES.iter().map(|gate| gate.id).collect();
                return Err(format!("no such feature gate \"{id}\". valid gates: [{}]", valid.join(" ")));
            };
            set.retain(|(known, _)| *known != gate.id);
            set.push((gate.id, on));
        }
        Ok(Self { set })
    }

    /// True if the gate is on.
    #[must_use]
    pub fn is_on(&self, id: &str) -> bool {
        match self.set.iter().find(|(known, _)| *known == id) {
            Some((_, on)) => *on,
            None => GATES.iter().any(|gate| gate.id == id && gate.default_on()),
        }
    }

    /// Gates that were set against their default and change nothing here.
    pub fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        let without =
            |id: &str, on: bool| GATES.iter().any(|gate| gate.id == id && !gate.works && gate.default_on() != on);
        self.set.iter().filter(move |(id, on)| without(id, *on)).map(|(id, _)| *id)
    }
}

static CHOSEN: OnceLock<Gates> = OnceLock::new();

/// Sets the gates of this process. The first call wins; there is one command line.
pub fn choose(gates: Gates) {
    CHOSEN.get_or_init(|| gates);
}

/// Gates that the command line sets and that change nothing here.
#[must_use]
pub fn without_effect() -> Vec<&'static str> {
    CHOSEN.get().map(|gates| gates.without_effect().collect()).unwrap_or_default()
}

/// True if the gate is on in this process.
#[must_use]
pub fn enabled(id: &str) -> bool {
    match CHOSEN.get() {
        Some(gates) => gates.is_on(id),
        None => Gates::default().is_on(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_parsed_and_unknown_gates_refused() {
        let gates = Gates::parse(&["service.partialReload,-service.partialReloadReceivers".to_owned()]).unwrap();
        assert!(gates.is_on("service.partialReload") && !gates.is_on("service.partialReloadReceivers"));
        assert!(gates.is_on("exporter.prometheusexporter.DisableAddMetricSuffixes"));
        assert_eq!(gates.without_effect().count(), 2);
        let error = Gates::parse(&["+x".to_owned()]).unwrap_err();
        assert!(error.starts_with("no such feature gate \"x\". valid gates: [confmap."), "{error}");
    }

    #[test]
    fn gates_are_sorted() {
        assert!(GATES.is_sorted_by_key(|gate| gate.id));
    }
}
