"""Memory of prediction in PyTorch on a CPU: `python benchmarks/memory.py [NAME]...`.

Each network predicts the class map of one image in its own process, since the operating system reports the peak memory
of a process. Prints in GB (1e9 bytes) the peak of the process, the memory in use before the prediction (Python,
libraries and weights), and the difference, which the prediction needs. Weights are random: they do not affect memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

from networks import NETWORKS

from rapidseg.core.sizes import format_size, parse_size


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
    segmenter(image[:64, :64])  # warm-up: some libraries load at first use
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
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*NETWORKS, []], help="default: all")
    parser.add_argument("--image-size", type=parse_size, default=(1024, 2048), metavar="HxW")
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_this_process:
        print(json.dumps(measure(arguments.names[0], arguments.image_size)))
        return
    for name in arguments.names or NETWORKS:
        size = format_size(arguments.image_size)
        command = [sys.executable, __file__, name, "--in-this-process", "--image-size", size]
        figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        peak, before = figures["peak"] / 1e9, figures["before"] / 1e9
        print(
            f"{name:20} {peak:5.2f} GB   before {before:5.2f}   prediction {peak - before:5.2f}   "
            f"{figures['seconds']:6.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
