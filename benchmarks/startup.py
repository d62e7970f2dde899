"""From the start of a process to its first class map, and what it takes: `python benchmarks/startup.py [MODEL]`.

Each start is a process of its own, as a script that segments one photo would be. The first may find nothing compiled on
disk; the median is that of the others. Prints seconds of `import rapidseg`, seconds to the first class map at `--size`,
and the peak memory of `rapidseg predict` on that image.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rapidseg.cli.options import parse_size
from rapidseg.imaging import read_image, resize_image, write_image
from rapidseg.runtime.model_file import BUILT_IN_MODELS, SAMPLE_IMAGE

IMPORT = "import time; start = time.time(); import rapidseg; print(time.time() - start)"
FIRST = """
import sys, time
import rapidseg
from rapidseg.imaging import read_image
model, precision, image, start = sys.argv[1:]
rapidseg.load(model, precision=precision)(read_image(image))
print(time.time() - float(start))
"""
PREDICT = """
import contextlib, io, sys
from rapidseg.system.memory import peak_memory_bytes
from rapidseg.cli import app
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    app.main()
print(peak_memory_bytes())
"""


def run(code: str, *words: object) -> float:
    command = [sys.executable, "-c", code, *map(str, words)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=BUILT_IN_MODELS[0])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--size", type=parse_size, default=(1024, 2048), metavar="HEIGHTxWIDTH")
    parser.add_argument("--starts", type=int, default=7)
    arguments = parser.parse_args()
    imports = statistics.median(run(IMPORT) for _ in range(arguments.starts))
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.jpg"
        write_image(image, resize_image(read_image(SAMPLE_IMAGE), arguments.size))
        way = arguments.model, arguments.precision
        first, *others = [run(FIRST, *way, image, time.time()) for _ in range(arguments.starts)]
        words = ["predict", image, "--model", way[0], "--precision", way[1], "--output", Path(folder) / "out"]
        peak_bytes = run(PREDICT, *words)
    print(f"import rapidseg: {imports:.3f} s")
    print(f"to the first class map: {statistics.median(others):.2f} s; the first time {first:.2f} s")
    print(f"peak memory of rapidseg predict: {peak_bytes / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
