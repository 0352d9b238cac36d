"""Prints the table of tests/compare: medians by configuration, and the ratios.

usage: compare.py RESULTS.jsonl
"""
import collections
import json
import statistics
import sys

runs = collections.defaultdict(list)
for line in open(sys.argv[1]):
    run = json.loads(line)
    runs[tuple(run["label"].rsplit("/", 1))].append(run)


def median(config, name, key):
    return statistics.median(run[key] or 0 for run in runs[config, name])


columns = [("CPU s / M spans", "cpu_s_per_m"), ("peak RSS MiB", "rss_peak_mib"), ("spans/s", "spans_per_s")]
print(f"{'configuration':<16}{'figure':<18}{'Go':>12}{'ottlcol':>12}{'Go / ottlcol':>14}")
for config in dict.fromkeys(config for config, _ in runs):
    for title, key in columns:
        go, ours = median(config, "otelcol-peer", key), median(config, "ottlcol", key)
        ratio = f"{go / ours:.2f}" if ours else "-"
        print(f"{config:<16}{title:<18}{go:>12.3f}{ours:>12.3f}{ratio:>14}")
    for name in ("otelcol-peer", "ottlcol"):
        for run in runs[config, name]:
            wrong = [key for key in ("duplicates", "partial_traces", "refused", "unknown", "split_traces") if run[key]]
            if wrong or run["error_slow_complete_pct"] not in (None, 100.0):
                figures = {key: run[key] for key in [*wrong, "error_slow_complete_pct"]}
                print(f"{config:<16}truth check of {name}: {figures}")
