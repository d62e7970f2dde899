"""Speed of every architecture: `python benchmarks/architectures.py --image frame.jpg [NAME]...`.

Exports each network with random weights, which do not affect speed, and measures it from an image in memory to its
class map in memory, interleaved with eager PyTorch with the same weights. Prints a row per network and precision.
A network with a ResNet takes some minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from networks import NETWORKS

from rapidseg.benchmarking.run_benchmark import BenchmarkPlan, run_benchmark
from rapidseg.benchmarking.summary import Summary
from rapidseg.core.sizes import parse_size
from rapidseg.exporting import export_onnx
from rapidseg.models import create_model
from rapidseg.models.weights_file import save_model
from rapidseg.runtime.model_file import SAMPLE_IMAGE

CHECK_SIZE_HW = (97, 161)  # other sizes are verified elsewhere; here the export should be fast


def measure(name: str, arguments: argparse.Namespace) -> None:
    architecture, options = NETWORKS[name]
    torch.manual_seed(0)
    model = create_model(architecture, 19, **options).eval()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, path = Path(folder) / "model.safetensors", Path(folder) / "model.onnx"
        save_model(model, checkpoint)
        export_onnx(model, model.spec, path, check_sizes=[CHECK_SIZE_HW], images=())
        del model
        plan = BenchmarkPlan(
            models=(str(path),),
            engines=("openvino",),
            precisions=tuple(arguments.precisions.split(",")),
            sizes_hw=(arguments.image_size,),
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
            f"| {figure(measurement.path_ms)} | {measurement.peak_matmul_share or 0:.0%} "
            f"| {figure(measurement.speed_up)} | {figure(report.eager_ms[arguments.image_size])} |",
            flush=True,
        )


def figure(summary: Summary | None) -> str:
    return "-" if summary is None else f"{summary.median:.3g} ({summary.p5:.3g} to {summary.p95:.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NETWORKS)}; default: all")
    parser.add_argument("--image", type=Path, default=SAMPLE_IMAGE)
    parser.add_argument("--image-size", type=parse_size, default=(1024, 2048), metavar="HxW")
    parser.add_argument("--precisions", default="float32,bf16")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.names or NETWORKS:
        if name not in NETWORKS:
            parser.error(f"unknown network {name!r}; allowed: {', '.join(NETWORKS)}")
    print("| network | multiply-accumulates | precision | ms | of peak matmul rate | speed-up over eager | eager, ms |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.names or NETWORKS:
        measure(name, arguments)


if __name__ == "__main__":
    main()
