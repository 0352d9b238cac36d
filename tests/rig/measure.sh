#!/usr/bin/env bash
# Measures one collector under one config; prints one JSON line on stdout.
#
#   measure.sh CONFIG.yaml COLLECTOR_CMD [ARGS...]
#
# The word @CONFIG@ in the command stands for the config path; without it,
# "--config CONFIG.yaml" is appended. COLLECTOR_ENV="K=V K=V" sets variables
# for the collector only; NOCONFIG=1 passes no config at all (CONFIG then only
# names the run). Settings, all optional:
#   RIG        rig binary                 RATE     spans/s, 0 = flat out (0)
#   SECS       load time, s (20)          DRAIN    wait after the load, s (15)
#   WARM       warm-up load, s (0)        BATCH    spans a request (512)
#   CONNS / CONC  connections, requests in flight on each (4 / 4)
#   TRACES     traces in the template (16384)   LAYOUT  sdk | agent
#   SKIP       s left out of the steady RSS mean   SERIES  CSV of t,RSS,CPU
#   SEED       (1)                        SINKS    backends on 127.0.0.1..N (1)
#   KEPT       file for the kept trace ids
#   COL_CPU / RIG_CPU  cores to pin to, empty = no pinning (0 / 1)
#   NICE       niceness of all parts (0)  DETAIL=1 keeps the detail object
#   RIG_IN / RIG_OUT   addresses (127.0.0.1:23417 / 127.0.0.1:23400)
set -u
[ $# -ge 2 ] || { sed -n '2,22p' "$0" >&2; exit 2; }
cfg=$1; shift
RIG=${RIG:-rig}
export RIG_IN=${RIG_IN:-127.0.0.1:23417} RIG_OUT=${RIG_OUT:-127.0.0.1:23400}
COL_CPU=${COL_CPU-0}; RIG_CPU=${RIG_CPU-1}; NICE=${NICE:-0}
SECS=${SECS:-20}; DRAIN=${DRAIN:-15}; SEED=${SEED:-1}
# another process behind one of our ports would be loaded and measured instead
for a in "$RIG_IN" "$RIG_OUT"; do
  if "$RIG" wait --target "$a" --seconds 0 2>/dev/null; then echo "$a is already in use" >&2; exit 1; fi
done
tmp=$(mktemp -d); pids=()
trap 'for p in "${pids[@]}"; do kill -KILL "$p" 2>/dev/null; done; rm -rf "$tmp"' EXIT
pin() { local c=$1; shift; if [ -n "$c" ]; then exec nice -n "$NICE" taskset -c "$c" "$@"; else exec nice -n "$NICE" "$@"; fi; }

port=${RIG_OUT##*:}; listen=$RIG_OUT
for i in $(seq 2 "${SINKS:-1}"); do listen="$listen,127.0.0.$i:$port"; done
(pin "$RIG_CPU" "$RIG" sink --listen "$listen" --truth "$tmp/truth" ${KEPT:+--kept "$KEPT"} >"$tmp/sink.json") & sink=$!; pids+=($sink)
"$RIG" wait --target "$RIG_OUT" || exit 1

cmd=(); seen=
for a in "$@"; do [ "$a" = @CONFIG@ ] && { a=$cfg; seen=1; }; cmd+=("$a"); done
[ -n "$seen" ] || [ -n "${NOCONFIG:-}" ] || cmd+=(--config "$cfg")
(pin "$COL_CPU" env ${COLLECTOR_ENV:-} "${cmd[@]}" >"$tmp/collector.log" 2>&1) & col=$!; pids+=($col)
"$RIG" wait --target "$RIG_IN" && kill -0 $col 2>/dev/null || { tail -20 "$tmp/collector.log" >&2; exit 1; }

load() { (pin "$RIG_CPU" "$RIG" load --target "$RIG_IN" --rate "${RATE:-0}" --conns "${CONNS:-4}" --concurrency "${CONC:-4}" \
  --batch "${BATCH:-512}" --traces "${TRACES:-16384}" --layout "${LAYOUT:-sdk}" "$@"); }
if [ "${WARM:-0}" != 0 ]; then load --seconds "$WARM" --seed $((SEED + 100)) >/dev/null; sleep 1; fi
"$RIG" watch --pid "$col" --skip "${SKIP:-0}" ${SERIES:+--series "$SERIES"} >"$tmp/watch.json" & w=$!; pids+=($w)
load --seconds "$SECS" --seed "$SEED" --truth "$tmp/truth" >"$tmp/load.json"
sleep "$DRAIN"
kill -TERM $w; wait $w
alive=0; kill -0 $col 2>/dev/null && alive=1
kill -TERM $col 2>/dev/null; for _ in $(seq 50); do kill -0 $col 2>/dev/null || break; sleep 0.1; done
kill -KILL $col 2>/dev/null; wait $col 2>/dev/null
kill -TERM $sink; wait $sink
[ "$alive" = 1 ] || { echo "collector ended early" >&2; tail -20 "$tmp/collector.log" >&2; }
[ -z "${LOG:-}" ] || cp "$tmp/collector.log" "$LOG"
label=${LABEL:-$(basename "$cfg" .yaml)}
"$RIG" report --load "$tmp/load.json" --sink "$tmp/sink.json" --watch "$tmp/watch.json" --label "$label" >"$tmp/report.json"
if [ "${DETAIL:-0}" = 1 ]; then cat "$tmp/report.json"; else python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); d.pop("detail"); print(json.dumps(d))' "$tmp/report.json"; fi
