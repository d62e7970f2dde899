"""Time by kind of layer in OpenVINO: `python benchmarks/layers.py MODEL --precision bf16`.

Runs the network as prediction does, but without row tiling and with OpenVINO's performance counters enabled. Prints the
median milliseconds of each kind of layer.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import openvino

from rapidseg.core.sizes import parse_size
from rapidseg.imaging import read_image, resize_image
from rapidseg.runtime.engines.openvino import thread_settings
from rapidseg.runtime.engines.openvino_input import split_preprocessing
from rapidseg.runtime.model_file import SAMPLE_IMAGE, find_model

HINTS = {"float32": ("f32", openvino.Type.f32), "bf16": ("bf16", openvino.Type.bf16)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--precision", choices=HINTS, default="bf16", help="of all layers that are not INT8")
    parser.add_argument("--image", type=Path, default=SAMPLE_IMAGE)
    parser.add_argument("--image-size", type=parse_size, default=(1024, 2048), metavar="HxW")
    parser.add_argument("--runs", type=int, default=40)
    arguments = parser.parse_args()
    image = resize_image(read_image(arguments.image), arguments.image_size)[None]
    hint, type_ = HINTS[arguments.precision]
    path = find_model(arguments.model)
    network, network_input = split_preprocessing(openvino.Core().read_model(path), type_, path)
    network.reshape(list(image.shape))
    settings = {"PERFORMANCE_HINT": "LATENCY", **thread_settings(), "INFERENCE_PRECISION_HINT": hint}
    compiled = openvino.Core().compile_model(network, "CPU", {**settings, "PERF_COUNT": True})
    request = compiled.create_infer_request()
    tensor = openvino.Tensor(network_input.type, list(image.shape))
    network_input.fill(image, tensor)
    request.set_input_tensor(tensor)
    runs = []
    for _ in range(arguments.runs + 3):
        request.infer()
        times_ms: dict[str, float] = defaultdict(float)
        for layer in request.profiling_info:
            times_ms[kind(layer)] += 1e3 * layer.real_time.total_seconds()
        runs.append(times_ms)
    names = sorted({name for times_ms in runs for name in times_ms})
    medians = {name: float(np.median([times_ms[name] for times_ms in runs[3:]])) for name in names}
    for name, milliseconds in sorted(medians.items(), key=lambda item: -item[1]):
        print(f"{name:28} {milliseconds:7.2f} ms")


def kind(layer: openvino.ProfilingInfo) -> str:
    if layer.node_type == "GroupConvolution":
        return "depthwise convolutions"
    if layer.node_type == "Convolution":
        return "1x1 convolutions" if "1x1" in layer.exec_type else "other convolutions"
    return "all others"


if __name__ == "__main__":
    main()
