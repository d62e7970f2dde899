"""Measures an NVIDIA GPU: frames per second from image to class map on the device, against the limit of its memory.

    python benchmarks/nvidia.py model.onnx best.safetensors -o out

compares the model file with the checkpoint that it was exported from, in eager PyTorch in float32. It measures batches
of 1 and 16 at 1024x2048, interleaved; the least memory traffic; how many pixels get the same class in different
precisions and in OpenVINO on the CPU; and the time of each kernel, in `profile-BATCH.txt`. With `--device cpu --size
64x128` it runs anywhere, to test the script itself.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

import rapidseg
from rapidseg.imaging import read_image, resize_image
from rapidseg.importing import load_checkpoint
from rapidseg.runtime.model_file import SAMPLE_IMAGE

ROUNDS = 5
# Operators whose operands and results must be read and written. All others can be fused with them: activations and sums
# happen while a result is in registers, so that a sum only reads its other operand, and concatenated features are
# written to their final address.
COUNTED = ("Conv", "Resize", "MaxPool", "MatMul", "ReduceMean", "Gemm", "InstanceNormalization")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", default="1024x2048")
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seconds", type=float, default=0.5, help="per measurement")
    parser.add_argument("-o", "--output", type=Path, default=Path("nvidia"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    size_hw = tuple(int(side) for side in options.size.split("x"))
    start = time.perf_counter()
    segmenter = rapidseg.load(options.model, engine="torch", precision=options.precision, device=options.device)
    device = torch.device(segmenter.engine.device)
    image = resize_image(read_image(SAMPLE_IMAGE), size_hw)
    report = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "choice": segmenter.engine.choice,
        "size_hw": size_hw,
        "copy_bytes_per_s": copy_rate(device),
        "agreement": agreement(options.model, image, options.device, segmenter.engine.precision),
    }
    if device.type == "cuda":
        report["first_convolution_us"] = first_convolution(segmenter, size_hw)
    model = load_checkpoint(options.checkpoint).eval().to(device)
    for batch in (int(text) for text in options.batches.split(",")):
        report[f"batch_{batch}"] = measure(segmenter, model, image, batch, report["copy_bytes_per_s"], options)
        report["seconds"] = time.perf_counter() - start
        text = json.dumps(report, indent=2)
        (options.output / "nvidia.json").write_text(text + "\n")  # after each batch, so that no measurement is lost
    print(text)


def measure(segmenter, model, image, batch, copy_bytes_per_s, options):
    engine, spec = segmenter.engine, segmenter.spec
    device, size_hw = torch.device(engine.device), image.shape[:2]
    images = torch.from_numpy(np.stack([image] * batch)).to(device)
    start = time.perf_counter()
    engine.compile(tuple(images.shape))
    wait(device)
    compile_s = time.perf_counter() - start

    def ours():
        logits = engine.infer(engine.upload(images))
        return engine.backend.class_maps(logits, size_hw, align_corners=spec.align_corners)[0]

    def through_segmenter():
        return [segmenter(each, input_size=size_hw).class_map for each in images]

    def eager():
        with torch.inference_mode():
            mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
            logits = model((images.permute(0, 3, 1, 2).float().contiguous() - mean) / std)
            full = interpolate(logits, size_hw, mode="bilinear", align_corners=spec.align_corners)
            return full.argmax(1).to(torch.uint8)

    workloads = {"ours": ours, "eager": eager}
    if batch == 1:
        workloads["segmenter"] = through_segmenter
    measurements = {name: [] for name in workloads}
    for function in workloads.values():
        measure_calls(function, device, 0.2)
    for _ in range(ROUNDS):
        for name, function in workloads.items():
            measurements[name].append(measure_calls(function, device, options.seconds))
    floor = floor_bytes(engine, images, size_hw)
    result = {"compile_s": compile_s, "algorithms": count(engine.autotuner(tuple(images.shape)))}
    for name, rounds in measurements.items():
        queued_ms = float(np.median([calls["queued_ms"] for calls in rounds]))
        result[name] = {
            "images_per_s": 1e3 * batch / queued_ms,
            "queued_ms": queued_ms,  # per batch, with many batches queued
            "latency_ms": summary([ms for calls in rounds for ms in calls["latency_ms"]]),  # host clock, one at a time
            "gpu_ms": summary([ms for calls in rounds for ms in calls["gpu_ms"]]),  # GPU clock
        }
    speedups = [
        eager_calls["queued_ms"] / our_calls["queued_ms"]
        for eager_calls, our_calls in zip(measurements["eager"], measurements["ours"], strict=True)
    ]
    result["speedup_over_eager"] = {"median": float(np.median(speedups)), "range": [min(speedups), max(speedups)]}
    floor_ms = 1e3 * floor / copy_bytes_per_s
    result["floor"] = {"bytes": floor, "ms": floor_ms, "share_reached": floor_ms / result["ours"]["queued_ms"]}
    if device.type == "cuda":
        result["peak_gpu_bytes"] = torch.cuda.max_memory_reserved(device)
    result["same_class_as_eager"] = float(
        (torch.stack([torch.as_tensor(class_map) for class_map in ours()]).to(device) == eager()).float().mean()
    )
    (options.output / f"profile-{batch}.txt").write_text(profile(ours, device))
    return result


def measure_calls(function, device, seconds):
    """Measures calls one by one, then many queued at once."""
    latency_ms, gpu_ms = [], []
    wait(device)
    end = time.perf_counter() + seconds / 2
    while time.perf_counter() < end or len(latency_ms) < 3:
        start = time.perf_counter()
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if device.type == "cuda" else []
        if events:
            events[0].record()
        function()
        if events:
            events[1].record()
        wait(device)
        latency_ms.append(1e3 * (time.perf_counter() - start))
        gpu_ms.append(events[0].elapsed_time(events[1]) if events else latency_ms[-1])
    calls = max(3, round(500 * seconds / np.median(latency_ms)))
    start = time.perf_counter()
    for _ in range(calls):
        function()
    wait(device)
    return {"latency_ms": latency_ms, "gpu_ms": gpu_ms, "queued_ms": 1e3 * (time.perf_counter() - start) / calls}


def floor_bytes(engine, images, size_hw):
    """Returns the fewest bytes that are read and written from image to class map: each operand and result once."""
    plan = engine.plan(tuple(images.shape))
    # Normalization is fused with the first convolution, which reads the image's bytes. The class map is written.
    total = images.numel() + len(images) * size_hw[0] * size_hw[1]
    values = {
        "normalized": torch.zeros(
            (images.shape[0], 3, *images.shape[1:3]), dtype=engine.dtype, device=images.device
        ).contiguous(memory_format=torch.channels_last)
    }
    with torch.no_grad():
        for step in plan.steps:
            result = values[step.output] = step(values)
            operands = [values[entry] for entry in step.arguments if isinstance(entry, str) and entry != "normalized"]
            if step.operator in COUNTED:
                total += sum(map(size_of, operands)) + size_of(result)
            elif step.operator == "Add":
                total += size_of(operands[-1])
    return total + size_of(values["logits"])  # which the class map reads


def size_of(tensor):
    return tensor.numel() * tensor.element_size()


def copy_rate(device):
    """Returns bytes per second of copies on the device; reads and writes both count."""
    source = torch.empty((1 << 30) if device.type == "cuda" else (1 << 26), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(10):
        wait(device)
        start = time.perf_counter()
        for _ in range(5):
            target.copy_(source)
        wait(device)
        best = max(best, 10 * source.numel() / (time.perf_counter() - start))
    return best


def agreement(path, image, device, precision):
    """Returns the share of pixels with the same class, for each pair of precisions and for OpenVINO on the CPU."""
    maps = {
        f"torch {name}": rapidseg.load(path, engine="torch", precision=name, device=device)
        for name in dict.fromkeys((precision, "float32"))
    }
    maps["openvino float32"] = rapidseg.load(path, engine="openvino", precision="float32", device="cpu")
    maps = {name: segmenter(image, input_size=image.shape[:2]).class_map for name, segmenter in maps.items()}
    return {
        f"{first}, {second}": float((maps[first] == maps[second]).mean())
        for first, second in itertools.combinations(maps, 2)
    }


def first_convolution(segmenter, size_hw):
    """Returns microseconds of the first convolution with 3, 4 and 8 input channels."""
    times_us = {}
    dtype = segmenter.engine.dtype
    for channels in (3, 4, 8):
        x, weight = (
            torch.randn(shape, dtype=dtype, device=segmenter.engine.device).contiguous(
                memory_format=torch.channels_last
            )
            for shape in ((1, channels, *size_hw), (32, channels, 3, 3))
        )
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            timed = measure_calls(
                lambda x=x, w=weight: torch.conv2d(x, w, stride=2), torch.device(segmenter.engine.device), 0.1
            )
        times_us[channels] = 1e3 * timed["queued_ms"]
    return times_us


def count(autotuner):
    selected, rejected = autotuner.selected, autotuner.rejected
    return {
        "selected": {name: selected.count(name) for name in dict.fromkeys(selected)},
        "rejected": {f"{name}: {reason}": rejected.count((name, reason)) for name, reason in set(rejected)},
    }


def profile(function, device):
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(5):
            function()
        wait(device)
    order = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    return profiler.key_averages().table(sort_by=order, row_limit=15, max_name_column_width=110)


def summary(values):
    return {
        "median": float(np.median(values)),
        "p5": float(np.percentile(values, 5)),
        "p95": float(np.percentile(values, 95)),
    }


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
