{{/*
The formulas of `ottlcol size` (collector/src/size.rs), computed once and handed round as YAML. tests/deploy.py compares
the two for several rates. Sprig's floats are exact enough: every result is rounded up to a step.
*/}}
{{- define "ottlcol.sizes" -}}
{{- $z := .Values.sizing -}}
{{- $rate := float64 .Values.spansPerSecond -}}
{{- $mib := 1048576.0 -}}
{{- $gr := int (dig "replicas" 0 .Values.gateway.size) -}}
{{- if not $gr }}{{ $gr = max 2 (int (ceil (divf $rate (mulf $z.gatewayCapacity 0.7)))) }}{{ end -}}
{{- $sr := int (dig "replicas" 0 .Values.sampler.size) -}}
{{- if not $sr }}{{ $sr = max 2 (int (ceil (divf $rate (mulf $z.samplerCapacity 0.7)))) }}{{ end -}}
{{- $gshare := divf $rate (float64 $gr) -}}
{{- $queue := maxf (mulf $gshare $z.bytesPerSpan $z.gatewayQueueSeconds $z.headroom) $mib -}}
{{- $tshare := divf (divf $rate $z.spansPerTrace) (float64 $sr) -}}
{{- $sshare := mulf $tshare $z.spansPerTrace -}}
{{- $traces := mulf (maxf 1 (ceil (divf (mulf $tshare (addf $z.decisionWaitSeconds 1) $z.headroom) 100.0))) 100.0 -}}
{{- $compression := float64 $z.compression -}}
{{- if gt (mulf $sshare $z.bytesPerSpan) (mulf 32 $mib) }}{{ $compression = 1.0 }}{{ end -}}
{{- $traceBytes := addf (divf (mulf $z.spansPerTrace $z.bytesPerSpan) $compression) 130 -}}
{{- $buffer := maxf (mulf (maxf 1 (ceil (divf (mulf $traces $traceBytes) $mib))) $mib) (mulf 4 $mib) -}}
{{- $storage := mulf (ceil (divf (addf (mulf $traces $z.spansPerTrace $z.bytesPerSpan) (mulf 64 $mib)) $mib)) $mib -}}
{{- $volume := mulf (ceil (divf (divf (addf (mulf $storage 1.1) (mulf 128 $mib)) $mib) 64.0)) 64.0 -}}
{{- $kept := addf $buffer (mulf $traces 48) -}}
{{- $memory := mulf (maxf 1 (ceil (divf (divf (divf (addf $kept (mulf 64 $mib)) 0.6) $mib) 64.0))) 64.0 -}}
{{- $gmemory := mulf (maxf 1 (ceil (divf (divf (divf (addf $queue (mulf 64 $mib)) 0.6) $mib) 64.0))) 64.0 -}}
{{- $gcpu := mulf (maxf 1 (ceil (divf (mulf (divf (mulf $gshare $z.cpuPerMillion) 1000.0) $z.headroom) 50.0))) 50.0 -}}
{{- $scpu := mulf (maxf 1 (ceil (divf (mulf (divf (mulf $sshare $z.cpuPerMillion) 1000.0) $z.headroom) 50.0))) 50.0 -}}
{{- $preStop := addf $z.resolverIntervalSeconds $z.dnsTtlSeconds -}}
gateway:
  replicas: {{ $gr }}
  minReplicas: {{ min $gr 2 }}
  maxReplicas: {{ int (ceil (mulf (float64 $gr) $z.maxScale)) }}
  cpuMillicores: {{ int (dig "cpuMillicores" (int $gcpu) .Values.gateway.size) }}
  memoryMib: {{ int (dig "memoryMib" (int $gmemory) .Values.gateway.size) }}
  queueBytes: {{ int64 (dig "queueBytes" (int64 (ceil $queue)) .Values.gateway.size) }}
  kedaTarget: {{ int64 (ceil (mulf $z.gatewayCapacity 0.7)) }}
  preStopSeconds: 5
  graceSeconds: {{ int (ceil (addf 5 $z.exportSeconds 5)) }}
sampler:
  replicas: {{ $sr }}
  minReplicas: {{ min $sr 2 }}
  maxReplicas: {{ int (ceil (mulf (float64 $sr) $z.maxScale)) }}
  cpuMillicores: {{ int (dig "cpuMillicores" (int $scpu) .Values.sampler.size) }}
  memoryMib: {{ int (dig "memoryMib" (int $memory) .Values.sampler.size) }}
  numTraces: {{ int64 (dig "numTraces" (int64 $traces) .Values.sampler.size) }}
  maxBufferBytes: {{ int64 (dig "maxBufferBytes" (int64 $buffer) .Values.sampler.size) }}
  expectedNewTracesPerSec: {{ int64 (ceil $tshare) }}
  storageMaxSizeBytes: {{ int64 (dig "storageMaxSizeBytes" (int64 $storage) .Values.sampler.size) }}
  storageVolume: {{ .Values.sampler.storage.size | default (printf "%dMi" (int64 $volume)) }}
  kedaTarget: {{ int64 (ceil (mulf $traces 0.6)) }}
  preStopSeconds: {{ int (ceil $preStop) }}
  {{- /* Where samplers wait for one another: what the longest decision takes. */}}
  {{- $others := ternary (mulf 2 .Values.sampler.peers.graceSeconds) 0.0 .Values.sampler.peers.enabled }}
  shutdownSeconds: {{ int (ceil (addf $z.decisionWaitSeconds $others)) }}
  graceSeconds: {{ int (ceil (addf $preStop $z.decisionWaitSeconds $others $z.exportSeconds 5)) }}
{{- end -}}

{{- define "ottlcol.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "ottlcol.labels" -}}
app.kubernetes.io/name: ottlcol
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "ottlcol.gateway" -}}{{ .Release.Name }}-gateway{{- end -}}
{{- define "ottlcol.sampler" -}}{{ .Release.Name }}-sampler{{- end -}}
{{- define "ottlcol.headless" -}}{{ include "ottlcol.sampler" . }}-headless.{{ .Release.Namespace }}.svc.cluster.local{{- end -}}

{{- define "ottlcol.selector" -}}
app.kubernetes.io/name: ottlcol
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .tier }}
{{- end -}}

{{/* service::telemetry of both tiers */}}
{{- define "ottlcol.telemetry" -}}
resource:
  attributes:
    - {name: service.name, value: {{ .name }}}
    - {name: host.name, value: "${env:POD_NAME}"}
    - {name: k8s.namespace.name, value: "${env:POD_NAMESPACE}"}
metrics:
  readers:
    - pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888, without_type_suffix: false, without_units: false}}}
{{- if has .root.Values.autoscaling.kind (list "keda-otel-add-on" "keda-scaler") }}
    - periodic:
        interval: 5000
        exporter:
          otlp: {protocol: grpc, endpoint: {{ .root.Values.autoscaling.pushEndpoint | quote }}, temporality_preference: cumulative}
{{- end }}
{{- end -}}

{{/* What both tiers' pods have in common. */}}
{{- define "ottlcol.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "ottlcol.container" -}}
{{- $size := index .sizes .tier -}}
image: {{ include "ottlcol.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [--config=/etc/ottlcol/config.yaml]
env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  - name: POD_IP
    valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- with (index .root.Values .tier).env }}
{{ toYaml . | indent 2 }}
{{- end }}
resources:
  requests: {cpu: {{ $size.cpuMillicores }}m, memory: {{ $size.memoryMib }}Mi}
  limits: {memory: {{ $size.memoryMib }}Mi}
startupProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 1
  failureThreshold: 120
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 2
  failureThreshold: 1
livenessProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
lifecycle:
  preStop: {sleep: {seconds: {{ $size.preStopSeconds }}}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}
