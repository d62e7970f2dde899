"""Findings in sentences, for runs that start with a check of their data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from rapidseg.core.errors import DatasetError
from rapidseg.core.wording import count_of
from rapidseg.data.checks.check_report import CheckReport, Finding
from rapidseg.data.checks.shared_images import file_digests, shared_images
from rapidseg.data.layouts.pairing import SplitFiles

EMPTY_CLASS = "empty_class"  # kind of the finding


def sentence_of(name: str, finding: Finding) -> str:
    """Returns a finding with the first of its files and the advice, in one line.

    Args:
        name: of the data set.
        finding: what was found.
    """
    files = ""
    if finding.files:
        first = finding.files[0]
        more = f" and {len(finding.files) - 1} more" if len(finding.files) > 1 else ""
        files = f": {first.path} ({first.detail}){more}"
    advice = f"; {finding.advice}" if finding.advice else ""
    where = f"{name} {finding.split}" if finding.split else name
    return f"{where}: {finding.message}{files}{advice}"


def learning_sentences(reports: Sequence[tuple[CheckReport, Collection[str]]]) -> list[str]:
    """Returns all findings in sentences.

    A class needs pixels in one of the splits that are learned from, not in each. Scores show which have none in the
    splits that are scored.

    Args:
        reports: of the data sets of a run, and the names of the splits that it learns from.
    """
    sentences = [
        sentence_of(report.name, finding)
        for report, _ in reports
        for finding in report.findings
        if finding.kind != EMPTY_CLASS
    ]
    parts = [(report, split) for report, learned in reports for split in report.splits if split.name in learned]
    if len({report.labels.names for report, _ in parts}) != 1:
        return sentences  # no part, or parts that cannot be joined, which the run itself refuses
    pixels = np.sum([split.class_pixels for _, split in parts], axis=0)
    if pixels.all():
        return sentences
    names = ", ".join(parts[0][0].labels.names[index] for index in np.flatnonzero(pixels == 0))
    advice = next((f.advice for _, split in parts for f in split.findings if f.kind == EMPTY_CLASS), "")
    where = " and ".join(f"{report.name} {split.name}" for report, split in parts)
    is_whole = all(split.num_read == split.num_pairs for _, split in parts)
    effect = "which therefore cannot be learned" if is_whole else "in the pairs that were read"
    return [*sentences, f"{where}: no pixel of {names}, {effect}; {advice}"]


def error_of(report: CheckReport, source: str, root: str | None) -> DatasetError:
    """Returns the error for a run whose data have errors: the first of them, and the command that shows all.

    Args:
        report: of the check; it has errors.
        source: name of the data set or its YAML file.
        root: its folder; None: none was given.
    """
    errors = [finding for finding in report.findings if finding.severity == "error"]
    others = f"; {count_of(len(errors) - 1, 'more error')}" if len(errors) > 1 else ""
    command = f"rapidseg data check {source}" + ("" if root is None else f" --root {root}")
    return DatasetError(f"{sentence_of(report.name, errors[0])}{others}; `{command}` shows everything")


def shared_between(files: Mapping[str, SplitFiles], learned: Collection[str], seconds: float) -> list[str]:
    """Returns sentences on images that splits of different data sets have in common, one of which is scored.

    Args:
        files: by data set and split, such as `camvid train`.
        learned: the splits that are learned from; they may share images, as fine and coarse labels do.
        seconds: for which contents are compared.
    """
    datasets = {label: label.rpartition(" ")[0] for label in files}
    return [
        sentence_of("", finding).strip()
        for finding in shared_images(files, file_digests(files, seconds))
        if any(
            finding.message.endswith(f"in {other}")
            for other in files
            if datasets[other] != datasets[finding.split] and not {other, finding.split} <= set(learned)
        )
    ]
