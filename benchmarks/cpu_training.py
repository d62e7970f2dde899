"""Training speed on a CPU by setting: `python benchmarks/cpu_training.py`.

Each setting is timed in its own process, since settings of memory and threads cannot be undone. The settings are
interleaved over `--rounds` rounds, since the speed of a shared machine varies. Prints images per second (median over
the rounds) and the speed-up over PyTorch's defaults.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

SETTINGS = {
    "PyTorch's defaults": {},
    "channels last": {"channels_last": True},
    "freed memory kept": {"channels_last": True, "keep_memory": True},
    "waiting threads sleep": {"channels_last": True, "keep_memory": True, "sleep": True},
    "label_stride 2": {"channels_last": True, "keep_memory": True, "sleep": True, "label_stride": 2},
}
BATCH_SIZE, CROP_HW, NUM_CLASSES = 8, (352, 480), 11


def measure(setting: dict, steps: int) -> float:
    """Returns images per second of forward pass, loss, backward pass and optimizer step, on random images."""
    import torch

    from rapidseg.losses import HeadLosses, PixelLoss
    from rapidseg.models import create_model
    from rapidseg.training.cpu_settings import keep_freed_memory

    if setting.get("keep_memory"):
        keep_freed_memory()
    torch.manual_seed(0)
    model = create_model("fast-scnn", NUM_CLASSES, aux_heads=("deep", "stem"))
    images = torch.randn(BATCH_SIZE, 3, *CROP_HW)
    if setting.get("channels_last"):
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    stride = setting.get("label_stride", 1)
    labels = torch.randint(0, NUM_CLASSES, (BATCH_SIZE, *CROP_HW))[:, ::stride, ::stride].to(torch.uint8)
    losses = HeadLosses(
        PixelLoss("softmax", num_classes=NUM_CLASSES, ignore_index=255),
        {"logits": 1.0, "aux_0_logits": 0.4, "aux_1_logits": 0.4},
    )
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, foreach=True)
    times = []
    for step in range(2 + steps):
        start = time.perf_counter()
        loss, _ = losses(model.forward_all(images), labels, model.upsample)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step >= 2:
            times.append(time.perf_counter() - start)
    return BATCH_SIZE / statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--setting", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.setting:
        print(measure(json.loads(arguments.setting), arguments.steps))
        return
    rates: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for _ in range(arguments.rounds):
        for name, setting in SETTINGS.items():
            environment = os.environ | ({"OMP_WAIT_POLICY": "PASSIVE"} if setting.get("sleep") else {})
            command = [sys.executable, __file__, "--setting", json.dumps(setting), "--steps", str(arguments.steps)]
            run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            rates[name].append(float(run.stdout))
    first = statistics.median(next(iter(rates.values())))
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:24} {median:6.1f} images/s   {median / first:4.2f}x")


if __name__ == "__main__":
    main()
