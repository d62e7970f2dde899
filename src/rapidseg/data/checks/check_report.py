"""What a check of a data set found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rapidseg.core.labels import LabelSet
from rapidseg.data.masks import UnknownValues, format_value


@dataclass(frozen=True)
class FileFinding:
    """A file that something was found in, and what."""

    path: Path
    detail: str
    foreign: UnknownValues | None = None

    def to_dict(self) -> dict[str, Any]:
        document: dict[str, Any] = {"path": str(self.path), "detail": self.detail}
        if self.foreign is not None:
            document["pixels"] = self.foreign.num_pixels
            document["num_values"] = self.foreign.num_values
            document["values"] = {format_value(value): count for value, count in self.foreign.counts.items()}
        return document


@dataclass(frozen=True)
class Finding:
    """One kind of fault in one split.

    Attributes:
        kind: a word for programs, such as `missing` or `value`.
        severity: `error` if training or scoring would fail or be wrong, else `warning`.
        message: what was found.
        advice: what to do about it; may be empty.
        files: the files it was found in; empty where it concerns the split as a whole.
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
    """What was read of one split.

    Attributes:
        num_pairs: images that have a mask.
        num_read: masks that could be read; the counts below are theirs.
        class_pixels: pixels of each class.
        class_images: images in which each class occurs.
        ignored_pixels: pixels that the masks say to ignore.
    """

    name: str
    num_pairs: int
    num_read: int
    class_pixels: tuple[int, ...]
    class_images: tuple[int, ...]
    ignored_pixels: int
    findings: tuple[Finding, ...]

    def class_share(self, index: int) -> float:
        """Returns the share of a class in the pixels of all classes, from 0 to 1."""
        return self.class_pixels[index] / max(1, sum(self.class_pixels))

    @property
    def ignored_share(self) -> float:
        """Share of ignored pixels in those of all classes and ignored ones, from 0 to 1."""
        return self.ignored_pixels / max(1, sum(self.class_pixels) + self.ignored_pixels)


@dataclass(frozen=True)
class CheckReport:
    """What was found in a data set; `shared` are findings that concern several splits."""

    name: str
    root: Path
    labels: LabelSet
    splits: tuple[SplitReport, ...]
    shared: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, errors first."""
        everything = [finding for split in self.splits for finding in split.findings] + list(self.shared)
        return tuple(sorted(everything, key=lambda finding: finding.severity != "error"))

    @property
    def ok(self) -> bool:
        """Whether training and scoring would go right; warnings do not count."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
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


def format_size(size_hw: tuple[int, ...]) -> str:
    """Returns (height, width) as people write it: `480x360`, width first."""
    return f"{size_hw[1]}x{size_hw[0]}"
