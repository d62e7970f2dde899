"""Memory of prediction in PyTorch on a CPU: `python benchmarks/memory.py [NAME]...`.

Each network of the list predicts the class map of one image in a process of its own, since the memory of a process
counts at its highest. Prints GB (1e9 bytes) of the whole process at its highest; of those, what was there before, which
is Python, the libraries and the weights; and the rest, which is what prediction took. Weights are random: they do not
matter here.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

from networks import NETWORKS


def measure(name: str, size_hw: tuple[int, int]) -> dict[str, float]:
    """Returns bytes and seconds of one prediction in this process."""
    import numpy as np
    import torch

    from rapidseg.models import create_model
    from rapidseg.runtime import Segmenter

    architecture, options = NETWORKS[name]
    torch.manual_seed(0)
    segmenter = Segmenter.from_model(create_model(architecture, 19, **options).eval())
    image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    segmenter(image[:64, :64])  # loads what is loaded at first use
    before = resident_bytes()
    start = time.perf_counter()
    segmenter(image)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts it in KiB
    return {"peak": peak, "before": before, "seconds": seconds}


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*NETWORKS, []], help="all without it")
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 2048), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    height, width = arguments.size
    if arguments.in_this_process:
        print(json.dumps(measure(arguments.names[0], (height, width))))
        return
    for name in arguments.names or NETWORKS:
        command = [sys.executable, __file__, name, "--in-this-process", "--size", str(height), str(width)]
        figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        peak, before = figures["peak"] / 1e9, figures["before"] / 1e9
        print(
            f"{name:20} {peak:5.2f} GB   before {before:5.2f}   prediction {peak - before:5.2f}   "
            f"{figures['seconds']:6.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
