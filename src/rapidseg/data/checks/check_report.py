"""The result of checking a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rapidseg.core.labels import LabelSet
from rapidseg.core.report import Report
from rapidseg.core.wording import count_of
from rapidseg.data.masks import UnknownValues, format_value


@dataclass(frozen=True)
class FileFinding:
    """A file with a mistake, and the mistake in words."""

    path: Path
    detail: str
    unknown_values: UnknownValues | None = None

    def to_dict(self) -> dict[str, Any]:
        document: dict[str, Any] = {"path": str(self.path), "detail": self.detail}
        if self.unknown_values is not None:
            document["pixels"] = self.unknown_values.num_pixels
            document["num_values"] = self.unknown_values.num_values
            document["values"] = {format_value(value): count for value, count in self.unknown_values.counts.items()}
        return document


@dataclass(frozen=True)
class Finding:
    """A kind of mistake in a split.

    Attributes:
        kind: name for programs, such as `missing` or `value`.
        severity: `error` if training or scoring would fail or give wrong results, else `warning`.
        message: the mistake in words.
        advice: how to fix it; may be empty.
        files: the files with this mistake; empty if it concerns the whole split.
    """

    kind: str
    severity: Literal["error", "warning"]
    split: str
    message: str
    advice: str = ""
    files: tuple[FileFinding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "severity": self.severity,
            "split": self.split,
            "message": self.message,
            "advice": self.advice,
            "count": len(self.files),
            "files": [file.to_dict() for file in self.files],
        }


@dataclass(frozen=True)
class SplitReport:
    """Statistics and findings of a split.

    Attributes:
        num_pairs: number of images with a mask.
        num_read: number of readable masks; the statistics below are of these.
        class_pixels: number of pixels of each class.
        class_images: number of images that contain each class.
        ignored_pixels: number of pixels that the masks mark as ignored.
        findings: the mistakes in this split.
    """

    name: str
    num_pairs: int
    num_read: int
    class_pixels: tuple[int, ...]
    class_images: tuple[int, ...]
    ignored_pixels: int
    findings: tuple[Finding, ...]

    def class_share(self, index: int) -> float:
        """Returns the pixels of a class as a share of the pixels of all classes, from 0 to 1."""
        return self.class_pixels[index] / max(1, sum(self.class_pixels))

    @property
    def ignored_share(self) -> float:
        """Ignored pixels as a share of all pixels that are ignored or belong to a class, from 0 to 1."""
        return self.ignored_pixels / max(1, sum(self.class_pixels) + self.ignored_pixels)


@dataclass(frozen=True)
class CheckReport(Report):
    """The result of `check_dataset`.

    Attributes:
        name: name of the data set.
        root: its folder.
        labels: its classes.
        splits: statistics and findings of each split.
        shared: findings that concern several splits.
    """

    name: str
    root: Path
    labels: LabelSet
    splits: tuple[SplitReport, ...]
    shared: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, errors first."""
        findings = [finding for split in self.splits for finding in split.findings] + list(self.shared)
        return tuple(sorted(findings, key=lambda finding: finding.severity != "error"))

    @property
    def ok(self) -> bool:
        """Whether training and scoring will work; warnings do not count."""
        return all(finding.severity != "error" for finding in self.findings)

    def headline(self) -> str:
        errors = sum(finding.severity == "error" for finding in self.findings)
        warnings = len(self.findings) - errors
        pairs = count_of(sum(split.num_pairs for split in self.splits), "pair")
        return f"{self.name}: {pairs}, {count_of(errors, 'error')}, {count_of(warnings, 'warning')}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the report, ready for JSON."""
        return {
            "dataset": self.name,
            "root": str(self.root),
            "ok": self.ok,
            "ignore_index": self.labels.ignore_index,
            "splits": {
                split.name: {
                    "pairs": split.num_pairs,
                    "masks_read": split.num_read,
                    "ignored_pixels": split.ignored_pixels,
                    "ignored_share": split.ignored_share,
                    "classes": [
                        {
                            "id": index,
                            "name": name,
                            "pixels": split.class_pixels[index],
                            "share": split.class_share(index),
                            "images": split.class_images[index],
                        }
                        for index, name in enumerate(self.labels.names)
                    ],
                }
                for split in self.splits
            },
            "findings": [finding.to_dict() for finding in self.findings],
        }
