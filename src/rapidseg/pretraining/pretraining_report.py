"""The outcome of a pre-training run, and of a check before one. Nothing here imports PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rapidseg.core.errors import InputError
from rapidseg.core.report import Report
from rapidseg.core.wording import count_of


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
class PretrainingReport(Report):
    """The outcome of a run.

    Attributes:
        output: the run's folder; None for a dry run.
        epochs: passes over the images that are done.
        iterations: optimizer steps done.
        seconds: that the run took, over all its processes.
        images_per_s: mean of this process, without scoring and saving; 0 if there was nothing left to do.
        best: `epoch`, `iteration`, `train_loss`, `top1` and `top5` (0 to 1) of the best score; None without scores.
        last: the same of the last score.
        best_weights: file of the best encoder; None if it was not written.
        last_weights: file of the last encoder; None if it was not written.
        results: table of the epochs (CSV); None for a dry run.
        check: of a dry run; None for a real one.
    """

    output: Path | None
    epochs: int
    iterations: int
    seconds: float
    images_per_s: float
    best: dict[str, Any] | None
    last: dict[str, Any] | None
    best_weights: Path | None
    last_weights: Path | None
    results: Path | None
    check: PretrainingCheck | None = None

    @property
    def weights(self) -> Path:
        """The encoder to use: the best one; without scores, the last.

        Raises:
            InputError: this was a dry run, which writes no weights.
        """
        path = self.best_weights or self.last_weights
        if path is None:
            raise InputError("a dry run writes no weights; pre-train without dry_run=True (--dry-run)")
        return path

    def headline(self) -> str:
        if self.check is not None:
            return f"dry run: {self.check.headline()}"
        score = "" if self.best is None else f", best top-1 {self.best['top1']:.3f} after epoch {self.best['epoch']}"
        return f"{count_of(self.epochs, 'epoch')} in {self.seconds:.0f} s{score}; {self.output}"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON: the check of a dry run, the outcome of a real run."""
        if self.check is not None:
            return self.check.to_dict()
        document = {key: str(value) if isinstance(value, Path) else value for key, value in vars(self).items()}
        del document["check"]
        return document
