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
