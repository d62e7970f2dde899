"""`check_data`, `prepare_data` and `draw_scenes`: data sets before training."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rapidseg.core.arguments import as_names
from rapidseg.core.choices import MaskKind
from rapidseg.core.errors import InputError
from rapidseg.core.progress import SILENT, Progress, counter
from rapidseg.core.report import Report
from rapidseg.core.sizes import SizeHW, SizeLike, format_size, to_size
from rapidseg.core.wording import count_of
from rapidseg.workflows.arguments import FLAG, TEXT, checked, integer

if TYPE_CHECKING:
    from rapidseg.data import CheckReport
    from rapidseg.data.cityscapes_preparation import PreparedMasks
    from rapidseg.scenes import WrittenScenes

DataPart = tuple[str | os.PathLike[str], str | os.PathLike[str] | None, str]
"""Name of a data set or a YAML file, its folder, and its splits, such as `train+val`."""

# How much of each split is read before a run.
_MAX_PAIRS = 500
_MAX_SECONDS = 15.0


@dataclass(frozen=True, eq=False)
class PreparationReport(Report):
    """What `prepare_data` did.

    Attributes:
        masks: how many masks were drawn and kept, and the annotations that could not be drawn.
        seconds: duration.
    """

    masks: PreparedMasks
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every annotation could be drawn."""
        return not self.masks.broken

    def headline(self) -> str:
        broken = f", {count_of(len(self.masks.broken), 'annotation')} skipped" if self.masks.broken else ""
        return f"{count_of(self.masks.num_drawn, 'mask')} drawn, {self.masks.num_kept} kept{broken}"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {**self.masks.to_dict(), "seconds": round(self.seconds, 3)}


@dataclass(frozen=True, eq=False)
class ScenesReport(Report):
    """What `draw_scenes` did.

    Attributes:
        written: the folder, and how many scenes were drawn and kept.
        seed: the seed that was passed.
        size_hw: size of the images.
        seconds: duration.
    """

    written: WrittenScenes
    seed: int
    size_hw: SizeHW
    seconds: float

    def headline(self) -> str:
        written = self.written
        return (
            f"{written.num_train} train, {written.num_val} val scenes of {format_size(self.size_hw)} in {written.root} "
            f"({written.num_drawn} drawn, {written.num_kept} kept)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "root": str(self.written.root),
            "seed": self.seed,
            "size_hw": list(self.size_hw),
            "train": self.written.num_train,
            "val": self.written.num_val,
            "drawn": self.written.num_drawn,
            "kept": self.written.num_kept,
            "seconds": round(self.seconds, 3),
        }


@checked("data", "root", "split", "workers", "progress")
def check_data(
    data: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    split: str | None = None,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> CheckReport:
    """Reads every image and mask, and reports what would make training or scoring fail or be wrong.

    Args:
        data: name of a data set, or a YAML file that describes one.
        root: the data set's folder; not needed where a YAML file names it.
        split: the split to read; splits may be joined: `train+val`. None: all splits.
        workers: threads that read; None: one per processor, up to 8.
        progress: watches each split.

    Returns:
        The report; `report.ok` says whether training can start.

    Raises:
        RapidSegError: the data set cannot be opened.
    """
    from rapidseg.data import check_dataset, open_layout
    from rapidseg.data.opening import parse_split

    layout = open_layout(data, root)
    splits = layout.splits() if split is None else parse_split(layout, split)
    return check_dataset(
        layout,
        splits,
        workers=workers,
        progress=lambda name, done, total: progress.update(f"checking {name}", done, total),
    )


def check_training_data(
    train: Sequence[DataPart], val: Sequence[DataPart] = (), *, progress: Progress = SILENT
) -> tuple[str, ...]:
    """Checks the data of a run before the run writes anything.

    Reads at most 500 pairs of each split, and none after 15 seconds, so that the start of a run on a large data set
    takes seconds. Of a larger split a random sample is read, always the same. `check_data` reads everything.

    Args:
        train: what is learned from: name or YAML file, folder, and splits, such as `train+val`.
        val: what is scored.
        progress: watches each split.

    Returns:
        What may make training or scoring go wrong, in sentences.

    Raises:
        DatasetError: training or scoring would fail, or go wrong; or the data are missing.
        RapidSegError: the data set cannot be opened.
    """
    from rapidseg.data.checks.checking import Limits, check_dataset
    from rapidseg.data.checks.sentences import error_of, learning_sentences, shared_between
    from rapidseg.data.opening import open_dataset, open_layout, parse_split

    splits_by_source: dict[tuple[str, str | None], dict[str, bool]] = {}  # whether each split is learned from
    for part in (*train, *val):
        name, root, split = part
        open_dataset(name, root, split)  # says which files are missing
        source = (os.fspath(name), None if root is None else os.fspath(root))
        learned = splits_by_source.setdefault(source, {})
        for one in parse_split(open_layout(*source), split):
            learned[one] = learned.get(one, False) or part in train
    reports, files, learned_from = [], {}, set()
    for (name, root), learned in splits_by_source.items():
        layout = open_layout(name, root)
        report = check_dataset(
            layout,
            tuple(learned),
            limits=Limits(_MAX_PAIRS, _MAX_SECONDS),
            progress=lambda split, done, total: progress.update(f"checking {split}", done, total),
        )
        if not report.ok:
            raise error_of(report, name, root)
        reports.append((report, frozenset(split for split, is_learned in learned.items() if is_learned)))
        files.update({f"{layout.name} {split}": layout.files(split) for split in learned})
        learned_from |= {f"{layout.name} {split}" for split, is_learned in learned.items() if is_learned}
    shared = shared_between(files, learned_from, _MAX_SECONDS) if len(reports) > 1 else []
    return (*learning_sentences(reports), *shared)


@checked("root", "workers", "progress", data=TEXT, labels=as_names, overwrite=FLAG)
def prepare_data(
    data: str,
    root: str | os.PathLike[str],
    *,
    labels: str | Sequence[MaskKind] | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> PreparationReport:
    """Draws the masks of Cityscapes from its polygon files, equal to those of the official scripts.

    Existing masks are kept, so an interrupted run can be resumed. Broken polygon files are skipped and reported.

    Args:
        data: `cityscapes`.
        root: the folder that contains `gtFine`, `gtCoarse` or both.
        labels: kinds of masks to draw: `labelIds`, `labelTrainIds`, `instanceIds`, `instanceTrainIds`; as a
            sequence or as comma-separated text. None: all of them.
        workers: processes that draw; None: one per processor.
        overwrite: draw existing masks again.
        progress: watches the polygon files.

    Raises:
        RapidSegError: the data set has no polygon files, an argument is wrong, or a mask cannot be written.
    """
    from rapidseg.data import prepare_cityscapes
    from rapidseg.data.cityscapes_polygons import MASK_KINDS
    from rapidseg.system.cpu import cpu_count

    if data != "cityscapes":
        raise InputError(f"masks can be drawn for cityscapes only, not for {data!r}")
    started = time.perf_counter()
    masks = prepare_cityscapes(
        root,
        tuple(MASK_KINDS) if labels is None else as_names("labels", labels),
        workers=workers or cpu_count(),
        overwrite=overwrite,
        progress=counter(progress, "drawing masks"),
    )
    return PreparationReport(masks, time.perf_counter() - started)


@checked(
    *("output", "image_size", "workers", "progress"),
    images=integer(1),
    val_images=integer(0),
    seed=integer(0, limit=(1 << 63) - 1),
)
def draw_scenes(
    output: str | os.PathLike[str],
    images: int,
    *,
    val_images: int | None = None,
    seed: int = 0,
    image_size: SizeLike = (1024, 2048),
    workers: int | None = None,
    progress: Progress = SILENT,
) -> ScenesReport:
    """Draws labeled street scenes, in the layout of Cityscapes with its 19 classes.

    The same seed and size always give the same files. Existing scenes are kept, so an interrupted run can be resumed
    and a data set extended.

    Args:
        output: the folder; created if it does not exist.
        images: number of scenes for training.
        val_images: number of scenes for validation; None: a fifth of `images`.
        seed: another seed draws other scenes.
        image_size: (height, width) in pixels, or text such as "1024x2048".
        workers: processes that draw; None: one per processor.
        progress: watches the scenes.

    Raises:
        RapidSegError: an argument is wrong, the folder contains something else, or a file cannot be written.
    """
    from rapidseg.scenes import write_dataset
    from rapidseg.system.cpu import cpu_count

    size_hw = to_size(image_size, "image_size")
    started = time.perf_counter()
    written = write_dataset(
        output,
        images,
        num_val_images=-(-images // 5) if val_images is None else val_images,
        seed=seed,
        size_hw=size_hw,
        workers=workers or cpu_count(),
        progress=counter(progress, "drawing scenes"),
    )
    return ScenesReport(written, seed, size_hw, time.perf_counter() - started)
