"""Start-up time and memory of prediction: `python benchmarks/startup.py [MODEL]`.

Each start is a new process, like a script that segments one photo. The first start may have to compile what later ones
load from the cache, so the median is that of the others. Prints the seconds of `import rapidseg`, the seconds to the
first class map at `--image-size`, and the peak memory of `rapidseg predict` on that image.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rapidseg.core.sizes import parse_size
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


def run(code: str, *arguments: object) -> float:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=BUILT_IN_MODELS[0])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--image-size", type=parse_size, default=(1024, 2048), metavar="HxW")
    parser.add_argument("--starts", type=int, default=7)
    arguments = parser.parse_args()
    imports = statistics.median(run(IMPORT) for _ in range(arguments.starts))
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.jpg"
        write_image(image, resize_image(read_image(SAMPLE_IMAGE), arguments.image_size))
        model, precision = arguments.model, arguments.precision
        first, *later = [run(FIRST, model, precision, image, time.time()) for _ in range(arguments.starts)]
        options = ["--model", model, "--precision", precision, "--output", Path(folder) / "out"]
        peak_bytes = run(PREDICT, "predict", image, *options)
    print(f"import rapidseg: {imports:.3f} s")
    print(f"first class map: {statistics.median(later):.2f} s; in the first process {first:.2f} s")
    print(f"peak memory of rapidseg predict: {peak_bytes / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
