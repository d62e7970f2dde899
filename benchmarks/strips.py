"""What strips of rows are worth: `python benchmarks/strips.py MODEL --precision bf16 --image frame.jpg`.

One network twice in one process, once with its first layers in strips of rows as prediction has them, once left whole,
in turns whose order changes. Prints median, 10th and 90th percentile of the network's milliseconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import rapidseg
from rapidseg.cli.options import parse_size
from rapidseg.imaging import read_image, resize_image
from rapidseg.runtime.engines import openvino as engine
from rapidseg.runtime.model_file import SAMPLE_IMAGE

TURNS, FRAMES, PAUSE_S = 16, 12, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--image", type=Path, default=SAMPLE_IMAGE)
    parser.add_argument("--size", type=parse_size, default=(1024, 2048), metavar="HEIGHTxWIDTH")
    arguments = parser.parse_args()
    image = resize_image(read_image(arguments.image), arguments.size)
    tile_rows = engine.tile_rows
    segmenters = {}
    for name, cut in {"whole": lambda model, size: None, "strips": tile_rows}.items():
        engine.tile_rows = cut
        segmenters[name] = rapidseg.load(arguments.model, engine="openvino", precision=arguments.precision)
        segmenters[name](image, input_size=arguments.size)
    spent_ms: dict[str, list[float]] = {name: [] for name in segmenters}
    for turn in range(TURNS):
        for name in list(segmenters)[:: -1 if turn % 2 else 1]:
            time.sleep(PAUSE_S)
            for _ in range(FRAMES):
                result = segmenters[name](image, input_size=arguments.size)
                spent_ms[name].append(result.timings_ms["network"])
    for name, samples in spent_ms.items():
        low, median, high = np.percentile(samples, (10, 50, 90))
        print(f"{name:7} {median:6.1f} ms ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
