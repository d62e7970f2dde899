#!/usr/bin/env python3
"""Makes the graphs without weights from which checkpoints become model files where PyTorch is not installed.

    python scripts/make_templates.py [NAME...]

Writes `src/rapidseg/importing/templates/`; archives that are there are completed, so that an interrupted run can be
repeated. NAME makes only these graphs, again. A ResNet-50 takes about 15 s, all of them half an hour.
"""

from __future__ import annotations

import sys

from rapidseg.exporting.templates import NETWORKS, make_templates

if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in NETWORKS]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(NETWORKS)}")
    for line in make_templates(sys.argv[1:]):
        print(line, flush=True)
