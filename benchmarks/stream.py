"""The bottleneck of a stream: `python benchmarks/stream.py MODEL --image frame.jpg`.

Processes copies of an image as `rapidseg predict` does: reading, segmenting and saving, each alone with its own
threads, and all three overlapped. Prints for each the frames per second and the CPU time per frame. For the whole
stream also prints its rate as a share of the slowest part's, and as a share of what the CPUs allow (each CPU gives one
second of CPU time per second).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import rapidseg
from rapidseg.core.sizes import parse_size
from rapidseg.imaging import read_image, resize_image, write_image
from rapidseg.runtime.model_file import BUILT_IN_MODELS, SAMPLE_IMAGE
from rapidseg.runtime.output_folder import DEFAULT_KINDS, OutputFolder
from rapidseg.runtime.streaming import open_frames
from rapidseg.system.cpu import cpu_count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=BUILT_IN_MODELS[0])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--image", type=Path, default=SAMPLE_IMAGE)
    parser.add_argument("--image-size", type=parse_size, default=(1024, 2048), metavar="HxW")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    segmenter = rapidseg.load(arguments.model, precision=arguments.precision)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "image.jpg"
        write_image(path, resize_image(read_image(arguments.image), arguments.image_size))
        files = [path] * arguments.frames
        folder = OutputFolder(Path(scratch) / "out", [path], DEFAULT_KINDS)
        image = read_image(path)
        results = [replace(segmenter(image, input_size=arguments.image_size), source=path)] * arguments.frames

        def read() -> None:
            for _ in open_frames(files):
                pass

        def segment() -> None:
            for _ in segmenter.stream([image] * arguments.frames, input_size=arguments.image_size):
                pass

        def save() -> None:
            for _ in folder.save_all(results):
                pass

        def everything() -> None:
            stream = segmenter.stream(files, input_size=arguments.image_size)
            with closing(stream), closing(folder.save_all(stream)) as saved:
                for _ in saved:
                    pass

        parts = {"reading": read, "segmenting": segment, "saving": save, "whole": everything}
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in parts}
        for _ in range(arguments.rounds):
            for name, part in parts.items():
                measured[name].append(measure(part, arguments.frames))
    wall = {name: statistics.median(seconds for seconds, _ in rounds) for name, rounds in measured.items()}
    busy = {name: statistics.median(busy for _, busy in rounds) for name, rounds in measured.items()}
    for name in parts:
        print(f"{name:10} {1 / wall[name]:7.1f} frames/s, {1e3 * busy[name]:6.1f} ms of CPU time per frame")
    slowest = max((name for name in parts if name != "whole"), key=wall.__getitem__)
    cpu_bound = sum(busy[name] for name in parts if name != "whole") / cpu_count()
    print(f"the whole stream reaches {wall[slowest] / wall['whole']:.0%} of the rate of {slowest} alone")
    print(
        f"and {max(cpu_bound, wall[slowest]) / wall['whole']:.0%} of what {cpu_count()} CPUs allow for the three parts"
    )


def measure(work: Callable[[], None], frames: int) -> tuple[float, float]:
    """Returns the seconds of wall time and of CPU time per frame."""
    clock, busy = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - clock) / frames, (time.process_time() - busy) / frames


if __name__ == "__main__":
    main()
