#!/usr/bin/env python3
"""Compares the trace ids that each fleet has kept with those that one sampler that saw all has kept under the same seed.

Ends with 1 where a fleet of the scenario `steady` has kept others: elsewhere traces may break."""

import pathlib
import re
import sys

differ = False
out = pathlib.Path(sys.argv[1])
for one in sorted(out.glob("one-*/kept")):
    scenario = one.parent.name.removeprefix("one-")
    alone = set(one.read_text().split())
    for other in sorted(out.glob(f"*-{scenario}/kept")):
        fleet = re.sub(f"-{scenario}$", "", other.parent.name)
        if fleet == "one":
            continue
        kept = set(other.read_text().split())
        more, less = len(kept - alone), len(alone - kept)
        print(f"{scenario}: one sampler keeps {len(alone)} traces, {fleet} {len(kept)}: {more} others, {less} missing")
        differ |= scenario.startswith("steady") and more + less > 0
sys.exit(differ)
