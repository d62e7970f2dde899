"""Which of several tries fits a wish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.summary import Summary

_EXACTNESS = ("int8", "bf16", "fp16", "float32")  # from the least exact; what is unknown counts as less


@dataclass(frozen=True)
class Target:
    """What the choice must reach.

    Attributes:
        min_fps: images a second, memory to memory, at the median.
        min_miou: mIoU from 0 to 1, which needs labeled images.
    """

    min_fps: float | None = None
    min_miou: float | None = None

    def granted(self, one: Trial) -> bool:
        """Tells whether a try reaches everything."""
        return self.fast_enough(one) and (
            self.min_miou is None or (one.mean_iou is not None and one.mean_iou >= self.min_miou)
        )

    def fast_enough(self, one: Trial) -> bool:
        """Tells whether a try reaches `min_fps`."""
        return self.min_fps is None or one.frames_per_s >= self.min_fps

    def __str__(self) -> str:
        parts = []
        if self.min_fps is not None:
            parts.append(f"{self.min_fps:g} frames/s")
        if self.min_miou is not None:
            parts.append(f"mIoU {self.min_miou:g}")
        return " and ".join(parts)


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried.

    Attributes:
        configuration: as asked for; its `input_size` is a shorter side or None.
        engine, precision, device: what was taken.
        path: the model file.
        input_size_hw: at which size the network saw the image.
        path_ms: milliseconds for an image, memory to memory.
        mean_iou: None where it was not measured.
        data: on what it was measured.
    """

    configuration: Configuration
    engine: str
    precision: str
    device: str
    path: Path
    input_size_hw: tuple[int, int]
    path_ms: Summary
    mean_iou: float | None = None
    data: str | None = None

    @property
    def frames_per_s(self) -> float:
        """Images a second at the median."""
        return 1e3 / self.path_ms.median

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "model": self.configuration.model,
            "engine": self.engine,
            "precision": self.precision,
            "device": self.device,
            "input_size_hw": list(self.input_size_hw),
            "path_ms": self.path_ms.to_dict(),
            "frames_per_s": round(self.frames_per_s, 3),
            "mean_iou": self.mean_iou,
            "data": self.data,
        }


@dataclass(frozen=True)
class Tuning:
    """What tuning found.

    Attributes:
        wish: what was wanted.
        tries: everything that was measured, fastest first.
        left_out: what cannot run here, with the reason.
        best: the choice where the wish is granted, else what comes nearest to it.
        granted: whether it is.
        reason: one sentence on why it is the best.
    """

    wish: Target
    tries: tuple[Trial, ...]
    left_out: tuple[tuple[Configuration, str], ...]
    best: Trial
    granted: bool
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "min_fps": self.wish.min_fps,
            "min_miou": self.wish.min_miou,
            "granted": self.granted,
            "best": self.best.to_dict(),
            "reason": self.reason,
            "tries": [one.to_dict() for one in self.tries],
            "left_out": [
                {"engine": configuration.engine, "precision": configuration.precision, "reason": reason}
                for configuration, reason in self.left_out
            ],
        }


def choose(tries: Sequence[Trial], wish: Target) -> tuple[Trial, bool, str]:
    """Takes one of the tries.

    Where speed is wanted the most accurate that is fast enough; where only accuracy is wanted the fastest that is
    accurate enough. Without measured mIoU a larger input size counts as more accurate, then a more exact precision.

    Returns:
        The try, whether it grants the wish, and the reason.
    """
    granted = [one for one in tries if wish.granted(one)]
    if granted and wish.min_fps is None:
        return max(granted, key=lambda one: one.frames_per_s), True, f"the fastest of those that reach {wish}"
    fast = [one for one in tries if wish.fast_enough(one)]
    if not fast:
        return max(tries, key=lambda one: one.frames_per_s), False, f"the fastest, but none reaches {wish}"
    best = max(granted or fast, key=_accuracy_order)
    if not granted:
        return (
            best,
            False,
            f"the most accurate{' that is fast enough' if wish.min_fps else ''}, but none reaches {wish}",
        )
    if best.mean_iou is not None:
        return best, True, f"the most accurate of those that reach {wish}"
    return best, True, f"the largest input size, then the most exact precision, of those that reach {wish}"


def _accuracy_order(one: Trial) -> tuple[float, int, int, float]:
    height, width = one.input_size_hw
    exactness = _EXACTNESS.index(one.precision) if one.precision in _EXACTNESS else -1
    measured = -1.0 if one.mean_iou is None else one.mean_iou
    return measured, height * width, exactness, one.frames_per_s
