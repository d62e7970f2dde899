"""The speed-up by row tiling: `python benchmarks/strips.py MODEL --precision bf16 --image frame.jpg`.

Runs a network in one process with and without row tiling of its first layers, interleaved, in an order that reverses
from round to round. Prints the median and the 10th and 90th percentile of the network's milliseconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import rapidseg
from rapidseg.core.sizes import parse_size
from rapidseg.imaging import read_image, resize_image
from rapidseg.runtime.engines import openvino as engine
from rapidseg.runtime.model_file import SAMPLE_IMAGE

ROUNDS, FRAMES, PAUSE_S = 16, 12, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--image", type=Path, default=SAMPLE_IMAGE)
    parser.add_argument("--image-size", type=parse_size, default=(1024, 2048), metavar="HxW")
    arguments = parser.parse_args()
    image = resize_image(read_image(arguments.image), arguments.image_size)
    tile_rows = engine.tile_rows
    segmenters = {}
    for name, tiling in {"untiled": lambda model, size: None, "tiled": tile_rows}.items():
        engine.tile_rows = tiling
        segmenters[name] = rapidseg.load(arguments.model, engine="openvino", precision=arguments.precision)
        segmenters[name](image, input_size=arguments.image_size)
    times_ms: dict[str, list[float]] = {name: [] for name in segmenters}
    for round_index in range(ROUNDS):
        for name in list(segmenters)[:: -1 if round_index % 2 else 1]:
            time.sleep(PAUSE_S)
            for _ in range(FRAMES):
                result = segmenters[name](image, input_size=arguments.image_size)
                times_ms[name].append(result.timings_ms["network"])
    for name, samples in times_ms.items():
        low, median, high = np.percentile(samples, (10, 50, 90))
        print(f"{name:7} {median:6.1f} ms ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
