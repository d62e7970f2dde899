"""Selecting one of several trials by a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.summary import Summary
from rapidseg.core.sizes import SizeHW

_EXACTNESS = ("int8", "bf16", "fp16", "float32")  # from the least exact; an unknown precision ranks below all


@dataclass(frozen=True)
class Target:
    """What the selected trial must reach.

    Attributes:
        min_fps: images per second, from memory to memory, at the median.
        min_miou: mIoU from 0 to 1, which needs labeled images.
    """

    min_fps: float | None = None
    min_miou: float | None = None

    def is_met(self, trial: Trial) -> bool:
        """Tells whether a trial reaches both minimums."""
        return self.is_fast_enough(trial) and (
            self.min_miou is None or (trial.mean_iou is not None and trial.mean_iou >= self.min_miou)
        )

    def is_fast_enough(self, trial: Trial) -> bool:
        """Tells whether a trial reaches `min_fps`."""
        return self.min_fps is None or trial.frames_per_s >= self.min_fps

    def __str__(self) -> str:
        parts = []
        if self.min_fps is not None:
            parts.append(f"{self.min_fps:g} FPS")
        if self.min_miou is not None:
            parts.append(f"mIoU {self.min_miou:g}")
        return " and ".join(parts)


@dataclass(frozen=True)
class Trial:
    """A configuration that was measured.

    Attributes:
        configuration: as requested; its `input_size` is a shorter side or None.
        engine: the engine that `load` chose.
        precision: the precision that `load` chose.
        device: the device that `load` chose.
        path: the model file.
        input_size_hw: size at which the network saw the image.
        path_ms: milliseconds per image, from memory to memory.
        mean_iou: None where it was not measured.
        data: data set and split of `mean_iou`.
    """

    configuration: Configuration
    engine: str
    precision: str
    device: str
    path: Path
    input_size_hw: SizeHW
    path_ms: Summary
    mean_iou: float | None = None
    data: str | None = None

    @property
    def frames_per_s(self) -> float:
        """Images per second at the median."""
        return 1e3 / self.path_ms.median

    def to_dict(self) -> dict[str, Any]:
        """Returns all figures for JSON."""
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
class TuningResult:
    """All trials, and the one that was selected.

    Attributes:
        target: what had to be reached.
        trials: every trial, fastest first.
        skipped: configurations that cannot run here, with the reason.
        best: the selected trial if the target is met, else the trial that comes closest.
        is_met: whether `best` meets the target.
        reason: why `best` is the best, in a few words.
        warnings: reasons why the mIoU means less than it seems to, in sentences.
    """

    target: Target
    trials: tuple[Trial, ...]
    skipped: tuple[tuple[Configuration, str], ...]
    best: Trial
    is_met: bool
    reason: str
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "min_fps": self.target.min_fps,
            "min_miou": self.target.min_miou,
            "met": self.is_met,
            "best": self.best.to_dict(),
            "reason": self.reason,
            "trials": [trial.to_dict() for trial in self.trials],
            "skipped": [
                {"engine": configuration.engine, "precision": configuration.precision, "reason": reason}
                for configuration, reason in self.skipped
            ],
            "warnings": list(self.warnings),
        }


def select(trials: Sequence[Trial], target: Target) -> tuple[Trial, bool, str]:
    """Selects one of the trials.

    With a minimum speed, selects the most accurate trial that is fast enough; with a minimum mIoU alone, the fastest
    trial that is accurate enough. Where no mIoU was measured, a larger input size counts as more accurate, then a more
    exact precision.

    Returns:
        The trial, whether it meets the target, and the reason.
    """
    meeting = [trial for trial in trials if target.is_met(trial)]
    if meeting and target.min_fps is None:
        fastest = max(meeting, key=lambda trial: trial.frames_per_s)
        return fastest, True, f"the fastest configuration that reaches {target}"
    fast = [trial for trial in trials if target.is_fast_enough(trial)]
    if not fast:
        fastest = max(trials, key=lambda trial: trial.frames_per_s)
        return fastest, False, f"target {target} not met; this is the fastest configuration"
    best = max(meeting or fast, key=_accuracy_order)
    if not meeting:
        fast_enough = " that is fast enough" if target.min_fps else ""
        return best, False, f"target {target} not met; this is the most accurate configuration{fast_enough}"
    if best.mean_iou is not None:
        return best, True, f"the most accurate configuration that reaches {target}"
    return (
        best,
        True,
        f"the most exact precision at the largest input size, of the configurations that reach {target}",
    )


def _accuracy_order(trial: Trial) -> tuple[float, int, int, float]:
    height, width = trial.input_size_hw
    exactness = _EXACTNESS.index(trial.precision) if trial.precision in _EXACTNESS else -1
    mean_iou = -1.0 if trial.mean_iou is None else trial.mean_iou
    return mean_iou, height * width, exactness, trial.frames_per_s
