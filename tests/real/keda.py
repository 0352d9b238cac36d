"""Asks an external scaler as KEDA does, with a client made from KEDA's own proto.

usage: keda.py PROTO ADDRESS
Each line of standard input is a call: {"method", "name", "namespace", "metadata", "metric"}; each line of standard
output its answer: the response as JSON, or {"code", "error"}. StreamIsActive goes on beside the other calls; its
answers are lines {"stream": true or false}.
"""
import importlib
import json
import pathlib
import sys
import tempfile
import threading

import grpc
from google.protobuf import json_format
from grpc_tools import protoc

proto, address = pathlib.Path(sys.argv[1]), sys.argv[2]
made = tempfile.mkdtemp()
arguments = ["protoc", f"-I{proto.parent}", f"--python_out={made}", f"--grpc_python_out={made}", str(proto)]
if protoc.main(arguments) != 0:
    sys.exit("protoc failed")
sys.path.insert(0, made)
messages = importlib.import_module(proto.stem + "_pb2")
services = importlib.import_module(proto.stem + "_pb2_grpc")
scaler = services.ExternalScalerStub(grpc.insecure_channel(address))

lock = threading.Lock()


def say(answer):
    with lock:
        print(json.dumps(answer), flush=True)


def stream(trigger):
    try:
        for answer in scaler.StreamIsActive(trigger):
            say({"stream": answer.result})
    except grpc.RpcError as error:
        say({"stream": None, "code": error.code().name, "error": error.details()})


say({"ready": True})
for line in sys.stdin:
    call = json.loads(line)
    trigger = messages.ScaledObjectRef(name=call["name"], namespace=call["namespace"], scalerMetadata=call["metadata"])
    if call["method"] == "StreamIsActive":
        threading.Thread(target=stream, args=(trigger,), daemon=True).start()
        continue
    try:
        if call["method"] == "GetMetrics":
            answer = scaler.GetMetrics(
                messages.GetMetricsRequest(scaledObjectRef=trigger, metricName=call["metric"]), timeout=10
            )
        else:
            answer = getattr(scaler, call["method"])(trigger, timeout=10)
        say(json_format.MessageToDict(answer))
    except grpc.RpcError as error:
        say({"code": error.code().name, "error": error.details()})
