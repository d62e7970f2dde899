"""Speed of drawing Cityscapes masks from polygon files: `python benchmarks/cityscapes_masks.py`.

The official scripts and RapidSeg draw `labelTrainIds` and `instanceTrainIds`, which is all that the official scripts
draw, from the same files of 1024x2048 pixels with 50 to 100 objects of 8 to 120 corners each. The settings are
interleaved, and the best round counts, since the speed of a shared machine varies. Prints milliseconds of CPU time per
file, over all processes and without their start-up, and polygon files per second, with start-up and waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rapidseg.core.cityscapes_labels import CITYSCAPES_LABELS
from rapidseg.system.cpu import cpu_count

HEIGHT, WIDTH = 1024, 2048
SCRIPTS = ("createTrainIdLabelImgs", "createTrainIdInstanceImgs")
KINDS = "labelTrainIds,instanceTrainIds"


def objects(rng: np.random.Generator) -> list[dict]:
    """Returns random objects, from the largest and farthest to the smallest and nearest."""
    count = int(rng.integers(50, 101))
    names = [label.name for label in CITYSCAPES_LABELS]
    drawn = []
    for size in 600 * np.linspace(1, 0, count) ** 2 + 8:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(8, 121)))
        radii = size * rng.uniform(0.6, 1, len(angles))
        x = rng.uniform(0, WIDTH) + 1.5 * radii * np.cos(angles)
        y = rng.uniform(0, HEIGHT) + radii * np.sin(angles)
        corners = np.stack([x, y], axis=1).astype(int).tolist()
        drawn.append({"label": str(rng.choice(names)), "polygon": corners})
    return drawn


def write(root: Path, num_files: int) -> None:
    folder = root / "gtFine" / "train" / "ulm"
    folder.mkdir(parents=True)
    for index in range(num_files):
        annotation = {"imgHeight": HEIGHT, "imgWidth": WIDTH, "objects": objects(np.random.default_rng(index))}
        (folder / f"ulm_{index:06}_000019_gtFine_polygons.json").write_text(json.dumps(annotation))


def seconds(commands: list[list[str]], root: Path) -> tuple[float, float]:
    """Returns the CPU time and the wall time of the commands."""
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        environment = {**os.environ, "CITYSCAPES_DATASET": str(root)}
        subprocess.run(command, env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    processes = cpu_count()
    rapidseg = [sys.executable, "-m", "rapidseg", "data", "prepare", "cityscapes", "--overwrite", "--workers"]
    settings = {
        "official scripts": [[sys.executable, "-m", f"cityscapesscripts.preparation.{script}"] for script in SCRIPTS],
        "rapidseg, one process": [[*rapidseg, "1", "--labels", KINDS]],
        f"rapidseg, {processes} processes": [[*rapidseg, str(processes), "--labels", KINDS]],
        f"rapidseg, {processes} processes, all four kinds": [[*rapidseg, str(processes)]],
    }
    few, many = 2, 2 + arguments.files  # their difference excludes the start-up; two files, so that all processes start
    best: dict[str, list[float]] = {setting: [float("inf")] * 2 for setting in settings}
    with tempfile.TemporaryDirectory() as name:
        roots = {count: Path(name, str(count)) for count in (few, many)}
        for count, root in roots.items():
            write(root, count)
        for _ in range(arguments.rounds):
            for setting, commands in settings.items():
                used, passed = {}, 0.0
                for count, root in roots.items():
                    full = [[*command, str(root)] if "rapidseg" in command else command for command in commands]
                    used[count], passed = seconds(full, root)
                figures = (used[many] - used[few]) / arguments.files, passed / many
                best[setting] = [min(pair) for pair in zip(best[setting], figures, strict=True)]
    for setting, (cpu_s, wall_s) in best.items():
        print(f"{setting:40} {1000 * cpu_s:6.1f} ms/file   {1 / wall_s:6.1f} files/s")


if __name__ == "__main__":
    main()
