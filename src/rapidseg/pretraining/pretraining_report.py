"""The outcome of a pre-training run, and of a check before one. Nothing here imports PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rapidseg.core.report import Report
from rapidseg.core.wording import count_of
from rapidseg.training.training_report import RunOutcome


@dataclass(frozen=True)
class PretrainingCheck(Report):
    """A run that was prepared but not started (`--dry-run`).

    Attributes:
        loss: of the first batch.
        train_images: number of images to learn from.
        val_images: number of images to score; None without scores.
        parameters: of the encoder.
        device: `cpu` or `cuda`.
        iterations: of the whole run.
    """

    loss: float
    train_images: int
    val_images: int | None
    parameters: int
    device: str
    iterations: int

    def headline(self) -> str:
        scored = "no scores" if self.val_images is None else f"{self.val_images} to score"
        images = count_of(self.train_images, "image")
        size = f"{self.parameters / 1e6:.2f} M parameters"
        return f"{images} to learn from, {scored}; {size}; loss of the first batch {self.loss:.3f}; {self.device}"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class PretrainingReport(RunOutcome):
    """The outcome of a run.

    A score is `epoch`, `iteration`, `train_loss`, and `top1` and `top5` from 0 to 1.

    Attributes:
        epochs: passes over the images that are done.
        results: table of the epochs (CSV); None for a dry run.
        check: of a dry run; None for a real one.
    """

    epochs: int
    results: Path | None
    check: PretrainingCheck | None = None

    def headline(self) -> str:
        if self.check is not None:
            return f"dry run: {self.check.headline()}"
        score = "" if self.best is None else f", best top-1 {self.best['top1']:.3f} after epoch {self.best['epoch']}"
        return f"{count_of(self.epochs, 'epoch')} in {self.seconds:.0f} s{score}; {self.output}"
