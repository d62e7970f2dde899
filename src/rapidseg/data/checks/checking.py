"""Reads the files of a data set and reports what would go wrong in training and scoring."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rapidseg.core.errors import ImageError
from rapidseg.core.parallel import ordered_map
from rapidseg.data.checks.check_report import CheckReport, FileFinding, SplitReport
from rapidseg.data.checks.diagnostics import explain_unreadable
from rapidseg.data.checks.findings import ReadPair, Tally, split_findings
from rapidseg.data.checks.mask_evidence import count_blends, is_photo, rotation_of, unrotated_fit
from rapidseg.data.checks.palette_findings import add_palette_findings
from rapidseg.data.checks.shared_images import file_digests, picture_digest, shared_images
from rapidseg.data.layouts.dataset_layout import DatasetLayout
from rapidseg.data.layouts.pairing import Pair, SplitFiles
from rapidseg.imaging import read_image
from rapidseg.system.cpu import cpu_count


@dataclass(frozen=True)
class Limits:
    """How much of a large data set is read.

    Attributes:
        pairs: of each split, at most; they are drawn at random, always the same.
        seconds: for each split, after which no further pair is read.
    """

    pairs: int
    seconds: float


def check_dataset(
    layout: DatasetLayout,
    splits: Sequence[str] | None = None,
    *,
    workers: int | None = None,
    limits: Limits | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> CheckReport:
    """Reads every image and mask. Memory grows with the number of faulty files, and by 0.3 KB per image.

    Args:
        layout: the data set, from `open_layout`.
        splits: names of the splits to read; None: all of them.
        workers: number of threads; None: one per CPU, at most 8.
        limits: read only a part of each split; equal images of several splits are then found by path and by the
            content of their files, not by their pixels. None: read everything.
        progress: called with the split, its number of finished pairs and of all pairs, before the first pair and after
            each; `Progress.update` has this form.

    Raises:
        DatasetError: a folder or a list of a split does not exist, so its files are unknown.
    """
    files = {split: layout.files(split) for split in (layout.splits() if splits is None else splits)}
    workers = workers or min(8, cpu_count())
    tallies: dict[str, Tally] = {}
    digests: dict[Path, bytes] = {}
    for split, split_files in files.items():
        tallies[split] = tally = Tally(layout.labels)
        pairs = _drawn(split_files.pairs, limits)
        if progress is not None:
            progress(split, 0, len(pairs))
        reads = ordered_map(_read_pair, _until(pairs, limits), threads=workers)
        for done, (pair, read) in enumerate(zip(pairs, reads, strict=False), start=1):
            tally.add(pair, read)
            if read.digest is not None:
                digests[pair.image] = read.digest
            if progress is not None:
                progress(split, done, len(pairs))
    if limits is not None:
        digests = file_digests(files, limits.seconds)
    add_palette_findings(tallies)
    reports = tuple(_split_report(split, files[split], tally) for split, tally in tallies.items())
    return CheckReport(layout.name, layout.root, layout.labels, reports, tuple(shared_images(files, digests)))


def _drawn(pairs: tuple[Pair, ...], limits: Limits | None) -> tuple[Pair, ...]:
    """Returns the pairs to read. Where only some are read, they are shuffled: any first part is a fair sample."""
    if limits is None:
        return pairs
    order = np.random.default_rng(0).permutation(len(pairs))[: limits.pairs]
    return tuple(pairs[index] for index in (order if len(order) < len(pairs) else range(len(pairs))))


def _until(pairs: tuple[Pair, ...], limits: Limits | None) -> Iterator[Pair]:
    end = None if limits is None else time.monotonic() + limits.seconds
    for index, pair in enumerate(pairs):
        if index and end is not None and time.monotonic() > end:
            return
        yield pair


def _read_pair(pair: Pair) -> ReadPair:
    unreadable = []
    image = mask = None
    try:
        image = read_image(pair.image)
    except ImageError as error:
        unreadable.append(FileFinding(pair.image, _without_path(error, pair.image)))
    try:
        mask = pair.mask_format.decode(pair.mask)
    except ImageError as error:
        unreadable.append(FileFinding(pair.mask, _without_path(error, pair.mask) + explain_unreadable(pair)))
    digest = None if image is None else picture_digest(image)
    if mask is None:
        return ReadPair(tuple(unreadable), digest=digest)
    rotation = fit = sizes_hw = None
    ignore_index = pair.mask_format.ignore_index
    if image is not None:
        rotation = rotation_of(pair.image, pair.mask)
        if rotation != 1:
            fit = unrotated_fit(image, mask.label, rotation, ignore_index)
        if image.shape[:2] != mask.label.shape:
            sizes_hw = (image.shape[:2], mask.label.shape)
    pixels = np.bincount(mask.label.ravel(), minlength=256)
    if mask.unknown_values is not None:  # pixels of unknown values are labeled as ignored, but not ignored on purpose
        pixels[ignore_index] -= mask.unknown_values.num_pixels
    return ReadPair(
        tuple(unreadable),
        digest=digest,
        mask=mask.without_pixels(),
        sizes_hw=sizes_hw,
        rotation=rotation or 1,
        unrotated_fit=fit,
        label_pixels=pixels,
        is_photo=image is not None and is_photo(mask, image),
        blends=count_blends(mask.label, ignore_index),
    )


def _without_path(error: ImageError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def _split_report(split: str, files: SplitFiles, tally: Tally) -> SplitReport:
    labels = tally.labels
    pixels, images = tally.label_pixels[: labels.num_classes], tally.label_images[: labels.num_classes]
    return SplitReport(
        name=split,
        num_pairs=len(files.pairs),
        num_read=tally.num_read,
        class_pixels=tuple(pixels.tolist()),
        class_images=tuple(images.tolist()),
        ignored_pixels=int(tally.label_pixels[labels.ignore_index]),
        findings=tuple(split_findings(split, files, tally)),
    )
