"""Sums what was read of the pairs of a split, and turns it into findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from rapidseg.core.labels import Color, LabelSet
from rapidseg.core.sizes import format_size
from rapidseg.core.wording import count_of
from rapidseg.data.checks import mask_evidence as evidence
from rapidseg.data.checks.check_report import FileFinding, Finding
from rapidseg.data.checks.diagnostics import explain_empty, explain_sizes, explain_unknown_values
from rapidseg.data.layouts.pairing import Pair, SplitFiles
from rapidseg.data.masks import DecodedMask, IdMasks, UnknownValues
from rapidseg.data.palettes import CONTRADICTING, DIFFERING

Palette = tuple[tuple[int, Color], ...]

_MANY_OTHERS = 20  # values of a mask that only `other` covers, more than classes that are ignored on purpose
_MIN_BLENDED = 0.2  # share of the changes of class that go by way of a class in between
_MIN_CHANGES = 200  # of class in a split, fewer say nothing


@dataclass(frozen=True, eq=False)
class ReadPair:
    """What was read of a pair of files.

    Attributes:
        unreadable: the files that cannot be read.
        digest: checksum of the picture; None where it says nothing.
        mask: without its pixels; None if it cannot be read.
        sizes_hw: sizes of the image and of the mask if they differ, else None.
        rotation: EXIF orientation of a photo whose mask has none; 1 for every other pair.
        unrotated_fit: how much better the mask fits the unrotated photo; None where that cannot be compared.
        label_pixels: (256,) int64, number of pixels of each label without those of unknown values; None if the mask
            cannot be read.
        is_photo: whether the mask is its image once more.
        blends: number of pixels of a class between two others, and of changes of class.
    """

    unreadable: tuple[FileFinding, ...] = ()
    digest: bytes | None = None
    mask: DecodedMask | None = None
    sizes_hw: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    rotation: int = 1
    unrotated_fit: float | None = None
    label_pixels: np.ndarray | None = None
    is_photo: bool = False
    blends: tuple[int, int] = (0, 0)


@dataclass(eq=False)
class Tally:
    """Sums and findings over the pairs of a split."""

    labels: LabelSet
    num_read: int = 0
    num_tried: int = 0
    label_pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    label_images: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    unreadable: list[FileFinding] = field(default_factory=list)
    sizes: dict[str, list[FileFinding]] = field(default_factory=dict)
    all_ignored: list[FileFinding] = field(default_factory=list)
    unknown_values: list[tuple[Pair, UnknownValues, str]] = field(default_factory=list)
    palettes: dict[tuple[int, Palette], list[Path]] = field(default_factory=dict)  # by format and colors of ids
    contradicting: list[FileFinding] = field(default_factory=list)
    differing: list[FileFinding] = field(default_factory=list)
    photos: list[FileFinding] = field(default_factory=list)
    lossy: list[FileFinding] = field(default_factory=list)
    instances: list[FileFinding] = field(default_factory=list)
    others: list[FileFinding] = field(default_factory=list)
    transparent: list[FileFinding] = field(default_factory=list)
    rotated: list[tuple[FileFinding, float]] = field(default_factory=list)  # with the gain of the unrotated fit
    blends: np.ndarray = field(default_factory=lambda: np.zeros(2, np.int64))

    def add(self, pair: Pair, read: ReadPair) -> None:
        self.num_tried += 1
        self.unreadable += read.unreadable
        if read.sizes_hw is not None:
            image_hw, mask_hw = read.sizes_hw
            detail = f"{format_size(mask_hw)} pixels, but its image has {format_size(image_hw)}"
            advice = explain_sizes(image_hw, mask_hw, read.rotation)
            self.sizes.setdefault(advice, []).append(FileFinding(pair.mask, detail))
        if read.mask is None or read.label_pixels is None:
            return
        self._add_evidence(pair, read, read.mask)
        if read.mask.unknown_values is not None:
            self.unknown_values.append((pair, read.mask.unknown_values, read.mask.file.lossy))
        self.num_read += 1
        self.label_pixels += read.label_pixels
        self.label_images += read.label_pixels > 0
        if read.mask.unknown_values is None and not read.label_pixels[: self.labels.num_classes].any():
            self.all_ignored.append(FileFinding(pair.mask, "every pixel is ignored"))

    def _add_evidence(self, pair: Pair, read: ReadPair, mask: DecodedMask) -> None:
        if reason := evidence.describe_contradiction(mask, self.labels, pair.mask_format):
            self.contradicting.append(FileFinding(pair.mask, reason))
        elif mask.class_colors:
            key = id(pair.mask_format), tuple(mask.class_colors.items())
            self.palettes.setdefault(key, []).append(pair.mask)
        if read.is_photo:
            self.photos.append(FileFinding(pair.mask, f"the picture of {pair.image}"))
        elif mask.has_instances:
            self.instances.append(FileFinding(pair.mask, "ids of 1000 and more"))
        elif mask.num_others and mask.file.lossy:
            self.lossy.append(FileFinding(pair.mask, f"{mask.num_others} or more values that only `other` covers"))
        elif mask.num_others > _MANY_OTHERS:
            self.others.append(FileFinding(pair.mask, f"{mask.num_others} or more such values"))
        if mask.file.num_transparent:
            self.transparent.append(FileFinding(pair.mask, count_of(mask.file.num_transparent, "pixel")))
        if read.unrotated_fit is not None:
            detail = f"its photo has the EXIF orientation {read.rotation}, the mask has none"
            self.rotated.append((FileFinding(pair.mask, detail), read.unrotated_fit))
        self.blends += read.blends


def split_findings(split: str, files: SplitFiles, tally: Tally) -> Iterator[Finding]:
    """Yields everything that is wrong in a split, or may be."""
    yield from _file_findings(split, files, tally)
    yield from _evidence_findings(split, files, tally)
    yield from _class_findings(split, files, tally)


def _file_findings(split: str, files: SplitFiles, tally: Tally) -> Iterator[Finding]:
    if not files.pairs:
        yield Finding("no_pairs", "error", split, "no image has a mask", "docs/data.md shows the expected folders")
    if files.missing:
        absent = tuple(FileFinding(missing.path, missing.reason) for missing in files.missing)
        advice = files.advice or "restore them, or remove their images"
        yield Finding("missing", "error", split, "missing files", advice, absent)
    if files.masks_without_image:
        unpaired = tuple(FileFinding(path, "no image has this name") for path in files.masks_without_image)
        advice = "they are not used; to use them, restore their images or correct the suffixes"
        yield Finding("mask_without_image", "warning", split, "masks without an image", advice, unpaired)
    if files.unread_pictures:
        passed_over = tuple(FileFinding(path, path.suffix[1:].upper()) for path in files.unread_pictures)
        advice = "they are not used; convert them to JPEG or PNG"
        yield Finding("unread_picture", "warning", split, "pictures in formats that are not read", advice, passed_over)
    if files.repeated_lines:
        lines = tuple(FileFinding(path, detail) for path, detail in files.repeated_lines)
        advice = "each image is used once; delete the repeated lines"
        yield Finding("repeated_line", "warning", split, "lines of the list that repeat an earlier one", advice, lines)
    if tally.unreadable:
        advice = "replace, convert or remove them"
        yield Finding("unreadable", "error", split, "unreadable files", advice, tuple(tally.unreadable))
    for advice, faulty in tally.sizes.items():
        yield Finding("size", "error", split, "masks whose size differs from their image", advice, tuple(faulty))
    yield from _value_findings(split, tally)


def _value_findings(split: str, tally: Tally) -> Iterator[Finding]:
    present = set(np.flatnonzero(tally.label_pixels[: tally.labels.num_classes]).tolist())
    foreign_by_cause: dict[tuple[str, str], list[FileFinding]] = {}
    for pair, unknown_values, lossy in tally.unknown_values:
        suffix = pair.mask.suffix
        advice = explain_unknown_values(unknown_values, tally.labels, pair.mask_format, suffix, present, lossy=lossy)
        finding = FileFinding(pair.mask, str(unknown_values), unknown_values)
        foreign_by_cause.setdefault((pair.mask_format.describe(), advice), []).append(finding)
    for (allowed, advice), faulty in foreign_by_cause.items():
        message = f"masks with values outside the classes ({allowed})"
        yield Finding("value", "error", split, message, advice, tuple(faulty))


def _evidence_findings(split: str, files: SplitFiles, tally: Tally) -> Iterator[Finding]:
    has_colors = any(
        isinstance(pair.mask_format, IdMasks) and bool(pair.mask_format.class_colors) for pair in files.pairs[:1]
    )
    errors = [
        ("palette", f"masks whose {CONTRADICTING}", evidence.palette_advice(has_colors), tally.contradicting),
        ("palette", f"masks whose {DIFFERING}", evidence.palette_advice(has_colors), tally.differing),
        ("photo", "masks that are their photos once more", evidence.PHOTO, tally.photos),
        ("lossy", "masks of colors in a lossy format", evidence.lossy_advice("JPEG"), tally.lossy),
        ("instances", "masks of instance ids", evidence.INSTANCES, tally.instances),
    ]
    for kind, message, advice, faulty in errors:
        if faulty:
            yield Finding(kind, "error", split, message, advice, tuple(faulty))
    yield from _rotation_findings(split, tally)
    if tally.others:
        message = f"masks with more than {_MANY_OTHERS} values that only `other` in label_map covers"
        yield Finding("other_values", "warning", split, message, evidence.BLENDED, tuple(tally.others))
    between, changes = tally.blends.tolist()
    if changes >= _MIN_CHANGES and 2 * between > _MIN_BLENDED * changes:
        message = f"{between} pixels of a class lie on the border of two others, as after interpolation"
        yield Finding("blended", "warning", split, message, evidence.BLENDED)
    if tally.transparent:
        message = "masks with transparent pixels; ids are read, transparency is not"
        advice = "remove the transparency, and give these pixels the id of what they show, or `ignore_index`"
        yield Finding("transparent", "warning", split, message, advice, tuple(tally.transparent))


def _rotation_findings(split: str, tally: Tally) -> Iterator[Finding]:
    if not tally.rotated:
        return
    mean_fit = float(np.mean([fit for _, fit in tally.rotated]))
    limit = 0.0 if mean_fit > evidence.MEAN_UNROTATED_FIT else evidence.UNROTATED_FIT
    unrotated = tuple(finding for finding, fit in tally.rotated if fit > limit)
    if unrotated:
        message = "masks that fit the unrotated pixels of their photos, which have an EXIF rotation"
        yield Finding("rotation", "error", split, message, evidence.rotation_advice(), unrotated)
    elif mean_fit > evidence.MEAN_ROTATED_FIT:
        message = "masks without the EXIF rotation of their photos; it cannot be seen which pixels they were drawn on"
        doubtful = tuple(finding for finding, _ in tally.rotated)
        yield Finding("rotation", "warning", split, message, evidence.rotation_advice(), doubtful)


def _class_findings(split: str, files: SplitFiles, tally: Tally) -> Iterator[Finding]:
    labels = tally.labels
    if not tally.num_read:
        return
    empty = np.flatnonzero(tally.label_pixels[: labels.num_classes] == 0).tolist()
    formats = {id(pair.mask_format): pair.mask_format for pair in files.pairs}
    advice = explain_empty(empty, int(tally.label_pixels[labels.ignore_index]), labels, list(formats.values()))
    seen = "" if tally.num_tried == len(files.pairs) else f" in the {tally.num_tried} pairs that were read"
    if len(empty) == labels.num_classes:
        # Benchmarks publish such masks for test images whose labels are secret.
        severity: Literal["error", "warning"] = "warning" if split == "test" else "error"
        yield Finding("nothing_labeled", severity, split, f"no pixel of the split belongs to a class{seen}", advice)
        return
    if tally.all_ignored:
        faulty = tuple(tally.all_ignored)
        yield Finding(
            "all_ignored",
            "warning",
            split,
            "masks in which every pixel is ignored",
            "remove them: training learns nothing from them",
            faulty,
        )
    if empty:
        names = ", ".join(labels.names[index] for index in empty)
        effect = "so it cannot be learned" if "train" in split else "so it gets no score"
        effect = (
            effect if len(empty) == 1 else effect.replace("it cannot", "they cannot").replace("it gets", "they get")
        )
        effect = effect if not seen else ""
        message = f"no pixel of {names}, {effect}" if effect else f"no pixel of {names}{seen}"
        yield Finding("empty_class", "warning", split, message, advice)
