"""Sends traces with the OpenTelemetry Python SDK and prints, as JSON, the ids it sent by class.

usage: client.py grpc|http ENDPOINT TRACES
"""
import json
import random
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

protocol, endpoint, traces = sys.argv[1], sys.argv[2], int(sys.argv[3])
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    exporter = OTLPSpanExporter(endpoint=endpoint)

random.seed(protocol)
provider = TracerProvider(resource=Resource.create({"service.name": "shop-" + protocol}))
# The queue holds everything: a client that drops would be counted against the collector.
provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=4 * traces, max_export_batch_size=128))
tracer = provider.get_tracer("e2e", "1.0")

MS = 1_000_000
start = 1_790_000_000_000 * MS
sent = {"error": [], "slow": [], "probe": [], "normal": [], "spans": 0}
for number in range(traces):
    kind = {1: "error", 2: "slow"}.get(number % 100, "probe" if number % 10 == 5 else "normal")
    length = 1500 * MS if kind == "slow" else random.randrange(5, 400) * MS
    begin = start + number * MS
    root = tracer.start_span("GET /cart", kind=SpanKind.SERVER, start_time=begin)
    root.set_attribute("http.target", "/health" if kind == "probe" else "/cart")
    sent["spans"] += 1
    if kind != "probe":
        child = tracer.start_span("SELECT cart", set_span_in_context(root), kind=SpanKind.CLIENT, start_time=begin + MS)
        if kind == "error":
            child.set_status(Status(StatusCode.ERROR, "deadlock"))
            child.add_event("exception", {"exception.type": "DeadlockError"}, timestamp=begin + 2 * MS)
        child.end(begin + 3 * MS)
        sent["spans"] += 1
    root.end(begin + length)
    sent[kind].append(format(root.get_span_context().trace_id, "032x"))
flushed = provider.force_flush(60_000)
provider.shutdown()
sent["flushed"] = flushed
print(json.dumps(sent))
