"""What `rapidseg pretrain` prints: progress of a run, its outcome, and the result of a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.markup import escape

from rapidseg.cli.console import console
from rapidseg.cli.tables.train import TrainingDisplay, format_duration
from rapidseg.core.wording import count_of

if TYPE_CHECKING:
    from rapidseg.pretraining.pretraining_report import PretrainingCheck, PretrainingReport


class PretrainingDisplay(TrainingDisplay):
    """Shows a run: bars on a terminal, one line per set of metrics in a file, and a line per epoch."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        if "train/epoch" not in values:
            super().metrics(step, values)
            return
        text = f"epoch {values['train/epoch']:.0f}: mean loss {values['train/epoch_loss']:.4f}"
        if "val/top1" in values:
            text += f", top-1 {values['val/top1']:.4f}, top-5 {values['val/top5']:.4f}"
        self.message(text)


def print_report(report: PretrainingReport) -> None:
    """Prints the outcome of a run, or of a dry run."""
    if report.check is not None:
        _print_check(report.check)
        return
    length = f"{count_of(report.epochs, 'epoch')}, {count_of(report.iterations, 'iteration')}"
    parts = [f"{length} in {format_duration(report.seconds)}"]
    if report.images_per_s == 0:
        parts.insert(0, "the run was complete already, nothing was left to do")
    if report.best is not None:
        parts.append(f"best top-1 {report.best['top1']:.4f} after epoch {report.best['epoch']}")
    if report.last is not None:
        parts.append(f"last top-1 {report.last['top1']:.4f}")
    files = [str(path) for path in (report.best_weights, report.last_weights, report.results) if path is not None]
    console.print(f"{', '.join(parts)}; wrote {escape(', '.join(files))}", highlight=False, soft_wrap=True)


def _print_check(check: PretrainingCheck) -> None:
    val = "no scores" if check.val_images is None else f"{check.val_images} to score"
    console.print(
        f"OK: {count_of(check.train_images, 'training image')}, {val}; {count_of(check.iterations, 'iteration')}; "
        f"{check.parameters / 1e6:.2f} M parameters on {check.device}; loss of the first batch {check.loss:.3f}. "
        "Nothing was written.",
        highlight=False,
        soft_wrap=True,
    )
