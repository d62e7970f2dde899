"""Speed of pre-training by instance discrimination: `python benchmarks/pretraining.py`.

On a CPU, a run of `rapidseg pretrain` (in float32, and in bf16) is compared with a plain loop that is written as the
published code is: one image at a time through Pillow in worker processes, contiguous memory, the bank updated by
indexing. All take the same random images of 32x32 pixels, the same ResNet-18 and the same batch size. Each is timed in
its own process, since settings of memory and threads cannot be undone, and they are interleaved over `--rounds` rounds,
since the speed of a shared machine varies. Prints steps/s (median over the rounds) and the speed-up of each round.

On a GPU (`--device cuda`) only our run is timed, in bf16, with CIFAR-10's 50,000 images: images/s, and the days, hours
or minutes of 200 epochs.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BATCH, SIDE, DIM, NEGATIVES, TEMPERATURE = 128, 32, 128, 4096, 0.1
WARM_UP = 2  # steps that are not timed
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
VARIANTS = ("plain loop", "float32", "bf16")


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


class PillowImages:
    """The published transforms, one image at a time: crop, color jitter, gray."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int):
        import torch
        from PIL import Image, ImageEnhance

        image = Image.fromarray(self.pixels[index])
        area = random.uniform(0.2, 1) * SIDE * SIDE
        aspect = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
        width, height = (min(SIDE, max(1, round(side))) for side in ((area * aspect) ** 0.5, (area / aspect) ** 0.5))
        left, top = random.randint(0, SIDE - width), random.randint(0, SIDE - height)
        image = image.crop((left, top, left + width, top + height)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        if random.random() < 0.8:
            steps = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color, None]
            random.shuffle(steps)
            for step in steps:
                if step is not None:
                    image = step(image).enhance(random.uniform(0.6, 1.4))
                    continue
                hue, saturation, value = image.convert("HSV").split()
                turned = np.asarray(hue) + np.uint8(random.uniform(-0.4, 0.4) * 255 % 256)
                image = Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")
        if random.random() < 0.2:
            image = image.convert("L").convert("RGB")
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1), index


def time_plain_loop(count: int, workers: int) -> float:
    """Returns the seconds of a step: the median over an epoch of `count` images."""
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader

    from rapidseg.core.encoder_spec import EncoderSpec
    from rapidseg.pretraining import Encoder

    spec = EncoderSpec(
        network="resnet18", options={"stem": "cifar"}, feature_dim=DIM, image_size=(SIDE, SIDE), method="plain"
    )
    torch.manual_seed(0)
    network = Encoder(spec)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.03, momentum=0.9, weight_decay=5e-4)
    bank = F.normalize(torch.randn(count, DIM))
    z = None
    times = []
    started = time.perf_counter()
    for pixels, indices in DataLoader(PillowImages(images(count)), BATCH, shuffle=True, num_workers=workers):
        features = network(pixels)
        rows = torch.randint(0, count, (len(pixels), NEGATIVES + 1))
        rows.select(1, 0).copy_(indices)
        samples = torch.index_select(bank, 0, rows.view(-1)).view(len(pixels), -1, DIM)
        out = torch.bmm(samples, features.view(len(pixels), DIM, 1)).div(TEMPERATURE).exp().squeeze(-1)
        if z is None:
            z = out.detach().mean() * count
        p = out / z
        ratio = NEGATIVES / count
        own = (p[:, 0] / (p[:, 0] + ratio)).log().sum()
        others = (ratio / (p[:, 1:] + ratio)).log().sum()
        loss = -(own + others) / len(pixels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            mixed = 0.5 * features + 0.5 * bank[indices]
            bank[indices] = F.normalize(mixed)
        loss.item()
        now = time.perf_counter()
        times.append(now - started)
        started = now
    return statistics.median(times[WARM_UP:])


def time_our_run(count: int, precision: str, device: str) -> float:
    """Returns the seconds of a step of `rapidseg.pretrain`: the median over an epoch of `count` images."""
    import rapidseg
    from rapidseg.core.progress import NullProgress
    from tests.support.cifar_files import write_cifar_images

    class Times(NullProgress):
        def __init__(self) -> None:
            self.images_per_s: list[float] = []

        def metrics(self, step, values):
            if "train/images_per_s" in values:
                self.images_per_s.append(values["train/images_per_s"])

    every = 1 if device == "cpu" else 50  # each line of the log waits for the GPU
    times = Times()
    with tempfile.TemporaryDirectory() as folder:
        write_cifar_images(Path(folder) / "cifar", images(count))
        rapidseg.pretrain(
            root=Path(folder) / "cifar",
            overrides={"precision": precision, "log_every": every, "data.val": None, "save_every": 10**6},
            m=NEGATIVES,
            epochs=1 if device == "cpu" else 4,
            output=Path(folder) / "run",
            device=device,
            progress=times,
        )
    return BATCH / statistics.median(times.images_per_s[WARM_UP:])


def measure_apart(variant: str, arguments: argparse.Namespace) -> float:
    """Times a variant in a process of its own."""
    command = [sys.executable, __file__, "--only", variant, "--device", arguments.device]
    command += ["--steps", str(arguments.steps), "--workers", str(arguments.workers)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40, help="timed steps per variant and round")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of the plain loop")
    parser.add_argument("--only", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    count = 50_000 if arguments.device == "cuda" else BATCH * max(arguments.steps + WARM_UP, NEGATIVES // BATCH)
    if arguments.only == "plain loop":
        print(time_plain_loop(count, arguments.workers))
        return
    if arguments.only:
        print(time_our_run(count, arguments.only, arguments.device))
        return
    if arguments.device == "cuda":
        step_s = min(measure_apart("bf16", arguments) for _ in range(arguments.rounds))
        minutes = 200 * 50_000 / BATCH * step_s / 60
        print(f"bf16 on the GPU: {BATCH / step_s:,.0f} images/s, 200 epochs in {minutes:.1f} min")
        return
    steps_s = {variant: [] for variant in VARIANTS}
    for _ in range(arguments.rounds):
        for variant in VARIANTS:
            steps_s[variant].append(measure_apart(variant, arguments))
    for variant in VARIANTS:
        ratios = [plain / ours for plain, ours in zip(steps_s["plain loop"], steps_s[variant], strict=True)]
        rate = 1 / statistics.median(steps_s[variant])
        print(f"{variant:12} {rate:6.2f} steps/s  {', '.join(f'{ratio:.2f}x' for ratio in ratios)}")


if __name__ == "__main__":
    main()
