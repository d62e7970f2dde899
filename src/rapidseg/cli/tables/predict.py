"""The summary that `rapidseg predict` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from rapidseg.cli.console import console
from rapidseg.core.wording import count_of

if TYPE_CHECKING:
    from rapidseg.workflows.predict import PredictionReport

_MIN_SHARE = 0.0005  # smaller shares would be printed as 0.0%


def print_summary(report: PredictionReport) -> None:
    """Prints how many images were segmented with what, the class shares of a single one, times and folders."""
    record, files = report.to_dict(), report.files
    counts = f"{count_of(len(files), 'image')} segmented"
    if report.failed:
        counts += f", {len(report.failed)} skipped"
    setup = f"{record['model']['architecture']}, {record['engine']}, {record['precision']}, {record['device']}"
    lines = [f"{counts} ({setup})"]
    if len(files) == 1:
        shares = sorted(files[0]["class_shares"].items(), key=lambda item: -item[1])
        lines.append("shares: " + ", ".join(f"{name} {share:.1%}" for name, share in shares if share >= _MIN_SHARE))
    if files:
        stages = ", ".join(f"{stage.replace('_', ' ')} {value:.1f}" for stage, value in record["median_ms"].items())
        lines.append(f"{'median ' if len(files) > 1 else ''}ms: {stages}")
        lines += [f"{folder.name.replace('_', ' ')}: {folder}" for folder in report.folders.values()]
    lines.append(f"record: {report.record_path}")
    for line in lines:
        console.print(escape(line), soft_wrap=True, highlight=False)
