"""What `rapidseg train` prints: progress of a run, its outcome, and the result of a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.markup import escape

from rapidseg.cli.console import ProgressDisplay, console, errors
from rapidseg.core.wording import count_of

if TYPE_CHECKING:
    from rapidseg.core.progress import Unit
    from rapidseg.training.training_report import RunCheck, TrainingReport

_ON_THE_BAR = ("train/images_per_s", "train/data_wait_share", "train/loss", "train/learning_rate")


class TrainingDisplay(ProgressDisplay):
    """Shows a run: bars on a terminal, one line per set of metrics in a file."""

    def __init__(self) -> None:
        super().__init__()
        self._iterations: int | None = None

    def update(self, task: str, done: int, total: int | None, *, unit: Unit = "items") -> None:
        super().update(task, done, total, unit=unit)
        if task == "training":
            self._iterations = total

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        if "val/mean_iou" in values:
            self.message(
                f"iteration {step}: mIoU {values['val/mean_iou']:.4f}, "
                f"pixel accuracy {values['val/pixel_accuracy']:.4f}"
            )
        elif errors.is_terminal:
            super().metrics(step, {name: values[name] for name in _ON_THE_BAR})
        else:
            self.message(
                f"iteration {step}/{self._iterations}: {values['train/images_per_s']:.1f} images/s, "
                f"{values['train/data_wait_share']:.0%} waiting for data, loss {values['train/loss']:.4f}, "
                f"learning rate {values['train/learning_rate']:.2e}, ETA {format_duration(values['train/eta_s'])}"
            )


def print_report(report: TrainingReport) -> None:
    """Prints the outcome of a run, or of a dry run."""
    if report.check is not None:
        _print_check(report.check)
        return
    parts = [f"{count_of(report.iterations, 'iteration')} in {format_duration(report.seconds)}"]
    if report.images_per_s == 0:
        parts.insert(0, "the run was complete already, nothing was left to do")
    if report.best is not None:
        parts.append(f"best mIoU {report.best['mean_iou']:.4f} after iteration {report.best['iteration']}")
    if report.last is not None:
        parts.append(f"last mIoU {report.last['mean_iou']:.4f}")
    files = [str(path) for path in (report.best_weights, report.last_weights) if path is not None]
    console.print(f"{', '.join(parts)}; wrote {escape(' and '.join(files))}", highlight=False, soft_wrap=True)


def _print_check(check: RunCheck) -> None:
    val = "no validation" if check.val_images is None else f"{check.val_images} for validation"
    console.print(
        f"OK: {count_of(check.train_images, 'training image')}, {val}; {check.parameters / 1e6:.2f} M parameters on "
        f"{check.device}; loss of the first batch {check.loss:.3f}. Nothing was written.",
        highlight=False,
        soft_wrap=True,
    )


def format_duration(seconds: float) -> str:
    """Returns hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
