"""Every architecture through the same path: `python benchmarks/architectures.py --image frame.jpg [NAME]...`.

Exports each network with random weights, which do not matter for speed, and measures it from an image in memory to its
class map in memory, in turns with plain PyTorch eager of the same weights. Prints a row for each network and precision.
With ResNets a network takes some minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from networks import NETWORKS

from rapidseg.benchmarking.benchmark import Plan, run_benchmark
from rapidseg.benchmarking.summary import Summary
from rapidseg.cli.options import parse_size
from rapidseg.exporting import export_onnx
from rapidseg.models import create_model
from rapidseg.models.weights import save_model
from rapidseg.runtime.model_file import SAMPLE_IMAGE

CHECK_SIZE_HW = (97, 161)  # export proves itself elsewhere; here it is to be quick


def measure(name: str, arguments: argparse.Namespace) -> None:
    architecture, options = NETWORKS[name]
    torch.manual_seed(0)
    model = create_model(architecture, 19, **options).eval()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, path = Path(folder) / "model.safetensors", Path(folder) / "model.onnx"
        save_model(model, checkpoint)
        export_onnx(model, model.spec, path, check_sizes=[CHECK_SIZE_HW], images=())
        del model
        plan = Plan(
            models=(str(path),),
            engines=("openvino",),
            precisions=tuple(arguments.precisions.split(",")),
            sizes_hw=(arguments.size,),
            image=arguments.image,
            rounds=arguments.rounds,
            seconds=0.1,
            checkpoint=checkpoint,
        )
        report = run_benchmark(plan)
    for measurement in report.measurements:
        complexity = measurement.complexity
        print(
            f"| `{name}` | {complexity.multiply_accumulates / 1e9:.0f} G | {measurement.precision} "
            f"| {spread(measurement.path_ms)} | {measurement.matrix_share or 0:.0%} "
            f"| {spread(measurement.speed_up)} | {spread(report.eager_ms[arguments.size])} |",
            flush=True,
        )


def spread(figures: Summary | None) -> str:
    return "-" if figures is None else f"{figures.median:.3g} ({figures.p5:.3g} to {figures.p95:.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)}; all unless given")
    parser.add_argument("--image", type=Path, default=SAMPLE_IMAGE)
    parser.add_argument("--size", type=parse_size, default=(1024, 2048), metavar="HEIGHTxWIDTH")
    parser.add_argument("--precisions", default="float32,bf16")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.names or NETWORKS:
        if name not in NETWORKS:
            parser.error(f"{name!r} is unknown; there are {', '.join(NETWORKS)}")
    print("| network | multiply-accumulates | precision | ms | of the matrix rate | eager takes | eager, ms |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.names or NETWORKS:
        measure(name, arguments)


if __name__ == "__main__":
    main()
