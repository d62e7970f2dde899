"""The outcome of a training run, and of a check before one. Nothing here imports PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rapidseg.core.errors import InputError
from rapidseg.core.report import Report, with_warnings
from rapidseg.core.wording import count_of


@dataclass(frozen=True)
class RunCheck(Report):
    """A run that was prepared but not started (`--dry-run`).

    Attributes:
        loss: of the first batch.
        loss_parts: weighted loss of each head.
        train_images: number of images to train on.
        val_images: number of images to validate on; None without validation.
        parameters: of the network, without auxiliary heads.
        device: `cpu` or `cuda`.
    """

    loss: float
    loss_parts: dict[str, float]
    train_images: int
    val_images: int | None
    parameters: int
    device: str

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return asdict(self)

    def headline(self) -> str:
        validation = "no validation" if self.val_images is None else f"{self.val_images} to validate on"
        return (
            f"{count_of(self.train_images, 'image')} to train on, {validation}; "
            f"{self.parameters / 1e6:.2f} M parameters; loss of the first batch {self.loss:.3f}; {self.device}"
        )


@dataclass(frozen=True)
class RunOutcome(Report):
    """What every training or pre-training run leaves.

    Attributes:
        output: the run's folder; None for a dry run.
        iterations: optimizer steps done.
        seconds: that the run took, over all its processes.
        images_per_s: mean of this process, without scoring and saving; 0 if there was nothing left to do.
        best: the best score, with its `iteration`; None without scores.
        last: the last score, likewise.
        best_weights: file of the best weights; None if it was not written. `weights` is the file to use.
        last_weights: file of the last weights; None if it was not written.
    """

    output: Path | None
    iterations: int
    seconds: float
    images_per_s: float
    best: dict[str, Any] | None
    last: dict[str, Any] | None
    best_weights: Path | None
    last_weights: Path | None

    @property
    def weights(self) -> Path:
        """The file to use: the best weights, or without scores the last.

        Raises:
            InputError: this was a dry run, which writes no weights.
        """
        path = self.best_weights or self.last_weights
        if path is None:
            raise InputError("a dry run writes no weights; train without dry_run=True (--dry-run)")
        return path

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON: the check of a dry run, the outcome of a real run."""
        fields: dict[str, Any] = {
            key: str(value) if isinstance(value, Path) else value for key, value in vars(self).items()
        }
        check: Report | None = fields.pop("check", None)
        return fields if check is None else check.to_dict()


@dataclass(frozen=True)
class TrainingReport(RunOutcome):
    """The outcome of a run.

    A score is `iteration`, `mean_iou`, `mean_accuracy` and `pixel_accuracy`.

    Attributes:
        warnings: what the user should know about the run.
        check: of a dry run; None for a real one.
    """

    warnings: tuple[str, ...] = ()
    check: RunCheck | None = None

    @property
    def best_mean_iou(self) -> float | None:
        """The mean IoU of `best_weights`, from 0 to 1; None without validation."""
        return None if self.best is None else self.best["mean_iou"]

    def headline(self) -> str:
        if self.check is not None:
            return with_warnings(f"dry run: {self.check.headline()}", self.warnings)
        score = "" if self.best is None else f", best mIoU {self.best['mean_iou']:.3f} at {self.best['iteration']}"
        done = f"{count_of(self.iterations, 'iteration')} in {self.seconds:.0f} s{score}; {self.output}"
        return with_warnings(done, self.warnings)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON: the check of a dry run, the outcome of a real run; and the warnings."""
        return {**super().to_dict(), "warnings": list(self.warnings)}
