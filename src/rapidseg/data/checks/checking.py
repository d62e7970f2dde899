"""Reads every file of a data set and reports what would go wrong in training and scoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from rapidseg.core.errors import ImageError
from rapidseg.core.labels import LabelSet
from rapidseg.core.parallel import ordered_map
from rapidseg.core.sizes import format_size
from rapidseg.data.checks.check_report import CheckReport, FileFinding, Finding, SplitReport
from rapidseg.data.checks.diagnostics import explain_empty, explain_sizes, explain_unknown_values, explain_unreadable
from rapidseg.data.layouts.dataset_layout import DatasetLayout
from rapidseg.data.layouts.pairing import Pair, SplitFiles
from rapidseg.data.masks import UnknownValues
from rapidseg.imaging import read_image
from rapidseg.system.cpu import cpu_count


def check_dataset(
    layout: DatasetLayout,
    splits: Sequence[str] | None = None,
    *,
    workers: int | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> CheckReport:
    """Reads every image and mask. Memory grows with the number of faulty files only.

    Args:
        layout: the data set, from `open_layout`.
        splits: names of the splits to read; None: all of them.
        workers: number of threads; None: one per CPU, at most 8.
        progress: called with the split, its number of finished pairs and of all pairs, before the first pair and after
            each; `Progress.update` has this form.

    Raises:
        DatasetError: a folder or a list of a split does not exist, so its files are unknown.
    """
    files = {split: layout.files(split) for split in (layout.splits() if splits is None else splits)}
    workers = workers or min(8, cpu_count())
    reports = []
    for split, split_files in files.items():
        tally = _Tally(layout.labels)
        if progress is not None:
            progress(split, 0, len(split_files.pairs))
        reads = ordered_map(_read_pair, split_files.pairs, threads=workers)
        for done, (pair, read) in enumerate(zip(split_files.pairs, reads, strict=True), start=1):
            tally.add(pair, read)
            if progress is not None:
                progress(split, done, len(split_files.pairs))
        reports.append(_split_report(split, split_files, tally))
    return CheckReport(layout.name, layout.root, layout.labels, tuple(reports), tuple(_shared_images(files)))


@dataclass(frozen=True, eq=False)
class _ReadPair:
    """The findings in a pair of files.

    Attributes:
        unreadable: the files that cannot be read.
        sizes_hw: sizes of the image and of the mask if they differ, else None.
        label_pixels: (256,) int64, number of pixels of each label without those of unknown values; None if the mask
            cannot be read.
        unknown_values: values that neither belong to a class nor are ignored; None if there are none.
    """

    unreadable: tuple[FileFinding, ...] = ()
    sizes_hw: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    label_pixels: np.ndarray | None = None
    unknown_values: UnknownValues | None = None


@dataclass(eq=False)
class _Tally:
    """Sums and findings over the pairs of a split."""

    labels: LabelSet
    num_read: int = 0
    label_pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    label_images: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    unreadable: list[FileFinding] = field(default_factory=list)
    sizes: dict[str, list[FileFinding]] = field(default_factory=dict)
    all_ignored: list[FileFinding] = field(default_factory=list)
    unknown_values: list[tuple[Pair, UnknownValues]] = field(default_factory=list)

    def add(self, pair: Pair, read: _ReadPair) -> None:
        self.unreadable += read.unreadable
        if read.sizes_hw is not None:
            image_hw, mask_hw = read.sizes_hw
            detail = f"{format_size(mask_hw)} pixels, but its image has {format_size(image_hw)}"
            self.sizes.setdefault(explain_sizes(image_hw, mask_hw), []).append(FileFinding(pair.mask, detail))
        if read.unknown_values is not None:
            self.unknown_values.append((pair, read.unknown_values))
        if read.label_pixels is None:
            return
        self.num_read += 1
        self.label_pixels += read.label_pixels
        self.label_images += read.label_pixels > 0
        if read.unknown_values is None and not read.label_pixels[: self.labels.num_classes].any():
            self.all_ignored.append(FileFinding(pair.mask, "every pixel is ignored"))


def _read_pair(pair: Pair) -> _ReadPair:
    unreadable = []
    image_hw = mask = None
    try:
        image_hw = read_image(pair.image).shape[:2]
    except ImageError as error:
        unreadable.append(FileFinding(pair.image, _without_path(error, pair.image)))
    try:
        mask = pair.mask_format.decode(pair.mask)
    except ImageError as error:
        unreadable.append(FileFinding(pair.mask, _without_path(error, pair.mask) + explain_unreadable(pair)))
    if mask is None:
        return _ReadPair(tuple(unreadable))
    mask_hw = mask.label.shape
    sizes_hw = (image_hw, mask_hw) if image_hw is not None and image_hw != mask_hw else None
    pixels = np.bincount(mask.label.ravel(), minlength=256)
    if mask.unknown_values is not None:  # pixels of unknown values are labeled as ignored, but not ignored on purpose
        pixels[pair.mask_format.ignore_index] -= mask.unknown_values.num_pixels
    return _ReadPair(tuple(unreadable), sizes_hw, pixels, mask.unknown_values)


def _without_path(error: ImageError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def _split_report(split: str, files: SplitFiles, tally: _Tally) -> SplitReport:
    labels = tally.labels
    pixels, images = tally.label_pixels[: labels.num_classes], tally.label_images[: labels.num_classes]
    return SplitReport(
        name=split,
        num_pairs=len(files.pairs),
        num_read=tally.num_read,
        class_pixels=tuple(pixels.tolist()),
        class_images=tuple(images.tolist()),
        ignored_pixels=int(tally.label_pixels[labels.ignore_index]),
        findings=(*_file_findings(split, files, tally), *_class_findings(split, files, tally)),
    )


def _file_findings(split: str, files: SplitFiles, tally: _Tally) -> Iterator[Finding]:
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
    if tally.unreadable:
        advice = "replace, convert or remove them"
        yield Finding("unreadable", "error", split, "unreadable files", advice, tuple(tally.unreadable))
    for advice, faulty in tally.sizes.items():
        yield Finding("size", "error", split, "masks whose size differs from their image", advice, tuple(faulty))
    present = set(np.flatnonzero(tally.label_pixels[: tally.labels.num_classes]).tolist())
    foreign_by_cause: dict[tuple[str, str], list[FileFinding]] = {}
    for pair, unknown_values in tally.unknown_values:
        advice = explain_unknown_values(unknown_values, tally.labels, pair.mask_format, pair.mask.suffix, present)
        finding = FileFinding(pair.mask, str(unknown_values), unknown_values)
        foreign_by_cause.setdefault((pair.mask_format.describe(), advice), []).append(finding)
    for (allowed, advice), faulty in foreign_by_cause.items():
        message = f"masks with values outside the classes ({allowed})"
        yield Finding("value", "error", split, message, advice, tuple(faulty))


def _class_findings(split: str, files: SplitFiles, tally: _Tally) -> Iterator[Finding]:
    labels = tally.labels
    if not tally.num_read:
        return
    empty = np.flatnonzero(tally.label_pixels[: labels.num_classes] == 0).tolist()
    formats = {id(pair.mask_format): pair.mask_format for pair in files.pairs}
    advice = explain_empty(empty, int(tally.label_pixels[labels.ignore_index]), labels, list(formats.values()))
    if len(empty) == labels.num_classes:
        # Benchmarks publish such masks for test images whose labels are secret.
        severity: Literal["error", "warning"] = "warning" if split == "test" else "error"
        yield Finding("nothing_labeled", severity, split, "no pixel of the split belongs to a class", advice)
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
        yield Finding("empty_class", "warning", split, f"no pixel of {names}, {effect}", advice)


def _shared_images(files: dict[str, SplitFiles]) -> Iterator[Finding]:
    """Finds images that are in several splits."""
    first_seen: dict[Path, str] = {}
    for split, split_files in files.items():
        shared: dict[str, list[FileFinding]] = {}
        for pair in split_files.pairs:
            first = first_seen.setdefault(pair.image, split)
            if first != split:
                shared.setdefault(first, []).append(FileFinding(pair.image, f"in {first} and {split}"))
        for first, images in shared.items():
            advice = "scores on training images are meaningless; use each image in one split only"
            yield Finding("shared_image", "warning", split, f"images that are also in {first}", advice, tuple(images))
