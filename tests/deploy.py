#!/usr/bin/env python3
"""Checks deploy/ without a cluster, in about a minute.

    python3 -m venv target/deploy-venv
    target/deploy-venv/bin/pip install pyyaml jsonschema kubernetes-validate
    cargo build -p collector
    target/deploy-venv/bin/python tests/deploy.py

Needs kubectl (for its kustomize) and go. The chart is rendered by tests/go/chart; with `--helm PATH` by Helm itself, which
`go install helm.sh/helm/v3/cmd/helm@v3.22.0` builds in 8 minutes, and is linted, too. Each overlay and each way of rendering the chart
is checked: strict schemas of Kubernetes and KEDA, every collector configuration by `ottlcol validate`, and what belongs
together (names, ports, grace periods). The chart's sizes are compared with `ottlcol size` for several rates.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.36"
# What the manifests take from the pod.
POD = {"POD_NAME": "pod-0", "POD_NAMESPACE": "observability", "NODE_NAME": "node-1", "POD_IP": "10.0.0.1"}
failures = []


def check(holds, text):
    if not holds:
        failures.append(text)
        print("FAILED", text)


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def output(*command):
    done = run(*command)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}{done.stdout}")
    return done.stdout


def keda_schema():
    """ScaledObject's schema from KEDA's own CRD, made strict."""
    module = json.loads(output("go", "mod", "download", "-json", "github.com/kedacore/keda/v2@v2.21.0"))
    crd = pathlib.Path(module["Dir"]) / "config/crd/bases/keda.sh_scaledobjects.yaml"
    version = yaml.safe_load(crd.read_text())["spec"]["versions"][0]

    def strict(schema):
        if isinstance(schema, list):
            return [strict(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        made = {key: strict(value) for key, value in schema.items()}
        if made.pop("x-kubernetes-int-or-string", False):
            made.pop("type", None)
            made["type"] = ["integer", "string"]
        if isinstance(made.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
        return made

    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def check_object(where, thing, keda):
    name = f"{where}: {thing['kind']} {thing['metadata']['name']}"
    if thing["apiVersion"].startswith("keda.sh/"):
        for error in jsonschema.Draft7Validator(keda).iter_errors(thing):
            check(False, f"{name}: {error.json_path}: {error.message}")
        for trigger in thing["spec"]["triggers"]:
            for key, value in trigger["metadata"].items():
                check(isinstance(value, str), f"{name}: {key} must be a string")
    elif thing["apiVersion"].startswith("monitoring.coreos.com/"):
        pass  # Its CRD is the operator's.
    else:
        try:
            kubernetes_validate.validate(thing, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            check(False, f"{name}: {error.path}: {error.message}")


def validate(ottlcol, *files):
    flags = [flag for file in files for flag in ("--config", file)]
    return run(ottlcol, "validate", *flags, env={**os.environ, **POD})


def check_config(where, data, ottlcol):
    """Merges the files as the container does: `config.yaml` first."""
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for name in sorted(data, key=lambda name: (name != "config.yaml", name)):
            files.append(pathlib.Path(directory) / name)
            files[-1].write_text(data[name])
        done = validate(ottlcol, *files)
    check(done.returncode == 0, f"{where}: {done.stderr}{done.stdout}")


def check_together(where, things):
    by_kind = {}
    for thing in things:
        by_kind.setdefault(thing["kind"], {})[thing["metadata"]["name"]] = thing
    services = by_kind.get("Service", {})
    for name, workload in by_kind.get("StatefulSet", {}).items():
        headless = services.get(workload["spec"]["serviceName"])
        check(headless is not None, f"{where}: no headless Service of {name}")
        if headless:
            check(headless["spec"]["clusterIP"] == "None", f"{where}: {name}: the Service is not headless")
            check(not headless["spec"]["publishNotReadyAddresses"], f"{where}: pods that are not ready are in the ring")
    for kind in ("Deployment", "StatefulSet"):
        for name, workload in by_kind.get(kind, {}).items():
            pod = workload["spec"]["template"]["spec"]
            ports = {port["name"] for container in pod["containers"] for port in container["ports"]}
            labels = workload["spec"]["template"]["metadata"]["labels"]
            for service in services.values():
                if service["spec"]["selector"].items() <= labels.items():
                    for port in service["spec"]["ports"]:
                        check(port["targetPort"] in ports, f"{where}: {name} has no port {port['targetPort']}")
            for container in pod["containers"]:
                sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
                grace = pod.get("terminationGracePeriodSeconds", 30)
                check(grace >= sleep + 5, f"{where}: {name}: grace period {grace} for a sleep of {sleep}")
                check(container["securityContext"]["readOnlyRootFilesystem"], f"{where}: {name}: writable root")
            for volume in pod.get("volumes", []):
                wanted = volume.get("configMap", {}).get("name")
                check(wanted is None or wanted in by_kind.get("ConfigMap", {}), f"{where}: {name}: no {wanted}")
    for name, scaler in {**by_kind.get("ScaledObject", {}), **by_kind.get("HorizontalPodAutoscaler", {})}.items():
        target = scaler["spec"]["scaleTargetRef"]
        kind = target.get("kind", "Deployment")
        if by_kind.get("StatefulSet"):
            check(target["name"] in by_kind.get(kind, {}), f"{where}: {name} scales {kind} {target['name']}")


def check_all(where, text, keda, ottlcol):
    things = [thing for thing in yaml.safe_load_all(text) if thing]
    for thing in things:
        check_object(where, thing, keda)
        if thing["kind"] == "ConfigMap":
            check_config(f"{where}: {thing['metadata']['name']}", thing["data"], ottlcol)
    check_together(where, things)
    print(f"{where}: {len(things)} objects")
    return things


# Options of the chart and of `ottlcol size` that must give the same.
RATES = [
    ([], []),
    (["spansPerSecond=5000"], ["--spans-per-second", "5000"]),
    (["spansPerSecond=137000", "sizing.decisionWaitSeconds=10"],
     ["--spans-per-second", "137000", "--decision-wait", "10s"]),
    (["spansPerSecond=1000000", "sizing.spansPerTrace=25", "sizing.bytesPerSpan=1100", "sizing.headroom=1.5"],
     ["--spans-per-second", "1000000", "--spans-per-trace", "25", "--bytes-per-span", "1100", "--headroom", "1.5"]),
    (["spansPerSecond=50000", "sizing.compression=4", "sizing.dnsTtlSeconds=30", "sizing.exportSeconds=60"],
     ["--spans-per-second", "50000", "--compression", "4", "--dns-ttl", "30s", "--export-time", "60s"]),
]


CHART = DEPLOY / "helm/ottlcol"

# Values files that set what values.yaml documents, and what must be in the result.
VALUES = [
    ("sizes of one's own", """
gateway: {size: {replicas: 3, memoryMib: 512, cpuMillicores: 250, queueBytes: 1048576}}
sampler:
  size: {replicas: 5, memoryMib: 1024, cpuMillicores: 500, numTraces: 1000, maxBufferBytes: 8388608, storageMaxSizeBytes: 16777216}
  storage: {kind: persistentVolumeClaim, size: 4Gi, storageClassName: fast}
""", ["replicas: 3", "memory: 512Mi", "replicas: 5", "num_traces: 1000", "max_size: 16777216", "storage: 4Gi", "storageClassName: fast"]),
    ("pods", """
image: {repository: registry.example/ottlcol, tag: v1, pullPolicy: Always}
imagePullSecrets: [{name: registry}]
gateway:
  service: {type: LoadBalancer, annotations: {example.com/scheme: internal}}
  env: [{name: TEAM, value: shop}]
  podAnnotations: {example.com/a: b}
  nodeSelector: {pool: tracing}
  tolerations: [{key: tracing, operator: Exists}]
sampler:
  env: [{name: TEAM, value: shop}]
  podAnnotations: {example.com/a: b}
  nodeSelector: {pool: tracing}
  tolerations: [{key: tracing, operator: Exists}]
""", ["image: registry.example/ottlcol:v1", "imagePullPolicy: Always", "type: LoadBalancer", "pool: tracing", "example.com/a: b"]),
    ("no Kubernetes API, no policies of the network", """
gateway: {kubernetesAttributes: false}
networkPolicy: {enabled: false}
podMonitor: {enabled: true}
""", ["automountServiceAccountToken: false"]),
    ("configuration", """
sampler:
  policies: [{name: errors, type: ottl_condition, ottl_condition: {error_mode: ignore, span: ['status.code == STATUS_CODE_ERROR']}}]
  config: {processors: {memory_limiter: {check_interval: 2s}}}
gateway: {config: {processors: {memory_limiter: {limit_percentage: 70}}}}
backend: {endpoint: tempo:4317, tls: {insecure: false}}
""", ["STATUS_CODE_ERROR", "check_interval: 2s", "limit_percentage: 70", "endpoint: tempo:4317"]),
    ("samplers that agree", """
sampler: {peers: {enabled: true, graceSeconds: 15}}
sizing: {decisionWaitSeconds: 20}
""", ["name: ${env:POD_IP}:4317", "grace: 15s", "shutdown_timeout: 50s", "terminationGracePeriodSeconds: 95", "port: peers"]),
    ("a scaler in the same namespace, by its short name", """
autoscaling: {kind: keda-scaler, scalerAddress: "scaler:4318", pushEndpoint: "http://scaler:4317"}
""", ["name: scaler\n"]),
]
# What the chart refuses, and a word of the reason.
REFUSED = [
    ("spansPerSecnd=1", "spansPerSecnd"),
    ("spansPerSecond=0", "spansPerSecond"),
    ("sizing.headroom=0.5", "headroom"),
    ("sizing.headroom=much", "headroom"),
    ("autoscaling.kind=keda", "kind"),
    ("sampler.storage.size=large", "size"),
    ("sampler.policies=null", "policies"),
    ("sampler.peers.graceSeconds=1", "graceSeconds"),
]


def render(helm, sets):
    if helm:
        flags = [flag for value in sets for flag in ("--set", value)]
        return output(*template(helm), *flags)
    binary = ROOT / "target/chart"
    if not binary.exists():
        done = run("go", "build", "-o", binary, ".", cwd=ROOT / "tests/go/chart")
        check(done.returncode == 0, done.stderr)
    return output(binary, CHART, "observability", *sets)


def check_values_files(helm, keda, ottlcol):
    for name, values, wanted in VALUES:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(values)
            file.flush()
            text = output(*template(helm), "--values", file.name)
        check_all(f"chart, {name}", text, keda, ottlcol)
        for part in wanted:
            check(part in text, f"chart, {name}: no {part!r}")
    for pair, reason in REFUSED:
        done = run(*template(helm), "--set", pair)
        check(done.returncode != 0 and reason in done.stderr, f"the chart takes {pair}: {done.stderr}")


def template(helm):
    # Built by `go install` it takes the cluster for an old one.
    return [helm, "template", "x", CHART, "--namespace", "observability", "--kube-version", KUBERNETES]


def check_values():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    for error in jsonschema.Draft7Validator(schema).iter_errors(values):
        check(False, f"values.yaml: {error.json_path}: {error.message}")
    wrong = jsonschema.Draft7Validator(schema).is_valid({**values, "spansPerSecnd": 1})
    check(not wrong, "the chart's schema takes an unknown value")


def check_sizes(helm, ottlcol):
    for sets, arguments in RATES:
        text = render(helm, ["autoscaling.kind=keda-prometheus", *sets])
        things = {(thing["kind"], thing["metadata"]["name"]): thing for thing in yaml.safe_load_all(text) if thing}
        rate = [] if arguments else ["--spans-per-second", "20000"]
        sizes = json.loads(output(ottlcol, "size", *rate, *arguments, "--json"))
        for tier, kind in (("gateway", "Deployment"), ("sampler", "StatefulSet")):
            size, pod = sizes[tier], things[kind, f"x-{tier}"]["spec"]["template"]["spec"]
            config = yaml.safe_load(things["ConfigMap", f"x-{tier}"]["data"]["config.yaml"])
            scaler = things["ScaledObject", f"x-{tier}"]["spec"]
            container = pod["containers"][0]
            pairs = {
                "memory": (container["resources"]["limits"]["memory"], f"{size['memory_limit_mib']}Mi"),
                "cpu": (container["resources"]["requests"]["cpu"], f"{size['cpu_request_millicores']}m"),
                "grace": (pod["terminationGracePeriodSeconds"], size["termination_grace_period_seconds"]),
                "preStop": (container["lifecycle"]["preStop"]["sleep"]["seconds"], size["pre_stop_seconds"]),
                "min": (scaler["minReplicaCount"], size["min_replicas"]),
                "max": (scaler["maxReplicaCount"], size["max_replicas"]),
                "replicas": (scaler["fallback"]["replicas"], size["replicas"]),
                "target": (scaler["triggers"][0]["metadata"]["threshold"], str(size["keda_target"])),
            }
            if tier == "sampler":
                sampling = config["processors"]["tail_sampling"]
                for key in ("num_traces", "max_buffer_bytes", "expected_new_traces_per_sec"):
                    pairs[key] = (sampling[key], size[key])
                pairs["max_size"] = (sampling["storage"]["max_size"], size["storage_max_size_bytes"])
                pairs["shutdown_wait"] = (sampling["shutdown_wait"], f"{size['shutdown_wait_seconds']}s")
                volume = next(volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume)
                pairs["volume"] = (volume["sizeLimit"], f"{size['storage_volume_mib']}Mi")
            else:
                queue = config["exporters"]["load_balancing"]["sending_queue"]["queue_size"]
                # Floating point: a byte more or less is the same.
                close = abs(queue - size["sending_queue_bytes"]) <= 1
                pairs["queue"] = (queue, queue if close else size["sending_queue_bytes"])
            for key, (chart, command) in pairs.items():
                check(chart == command, f"{sets}: {tier} {key}: the chart has {chart}, ottlcol size {command}")
    print(f"sizes: {len(RATES)} rates compared")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--ottlcol", default=str(ROOT / "target/debug/ottlcol"))
    arguments.add_argument("--helm", help="renders the chart, instead of tests/go/chart")
    options = arguments.parse_args()
    keda = keda_schema()
    for overlay in [DEPLOY / "k8s/base", *sorted((DEPLOY / "k8s/overlays").iterdir())]:
        check_all(str(overlay.relative_to(ROOT)), output("kubectl", "kustomize", overlay), keda, options.ottlcol)
    for file in sorted((DEPLOY / "keda").glob("*/*.yaml")):
        if file.name == "push.yaml":
            for tier in ("gateway", "sampler"):
                base = DEPLOY / f"k8s/base/config/{tier}.yaml"
                done = validate(options.ottlcol, base, file)
                check(done.returncode == 0, f"{file} over {base}: {done.stderr}")
        else:
            check_all(str(file.relative_to(ROOT)), file.read_text(), keda, options.ottlcol)
    for file in sorted((ROOT / "tests/data/k8s").glob("*.yaml")):
        for thing in yaml.safe_load_all(file.read_text()):
            check_object(file.name, thing, keda)
    check_values()
    if options.helm:
        print(output(options.helm, "lint", "--strict", CHART).strip())
        check_values_files(options.helm, keda, options.ottlcol)
    for kind in ("none", "hpa", "keda-prometheus", "keda-otel-add-on", "keda-scaler"):
        for storage in ("none", "emptyDir", "persistentVolumeClaim"):
            sets = [f"autoscaling.kind={kind}", f"sampler.storage.kind={storage}", "podMonitor.enabled=true"]
            check_all(f"chart, {kind}, {storage}", render(options.helm, sets), keda, options.ottlcol)
    check_all("chart, peers", render(options.helm, ["sampler.peers.enabled=true"]), keda, options.ottlcol)
    check_sizes(options.helm, options.ottlcol)
    print(f"{len(failures)} failures")
    sys.exit(1 if failures else 0)


main()
