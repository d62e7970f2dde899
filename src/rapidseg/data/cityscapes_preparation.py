"""Draws the masks of Cityscapes from its polygon files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidseg.core.errors import DatasetError, InputError, Interrupted, nearest_hint
from rapidseg.core.parallel import unordered_process_map
from rapidseg.core.progress import Counter
from rapidseg.core.wording import count_of
from rapidseg.data.cityscapes_polygons import MASK_KINDS, draw_masks, read_annotation
from rapidseg.data.layouts.dataset_layout import nearby_folders, wrong_root
from rapidseg.data.layouts.pairing import walk_files
from rapidseg.imaging import write_image

ANNOTATION_FOLDERS = ("gtFine", "gtCoarse")
POLYGONS = "_polygons.json"  # how the name of a polygon file ends
_DEPTH = 3  # SPLIT/CITY/FILE below a folder of annotations

_EXPECTED = """\
  gtFine/SPLIT/CITY/*_gtFine_polygons.json
  gtCoarse/SPLIT/CITY/*_gtCoarse_polygons.json
"""
_PNG_BEGINS, _PNG_ENDS = b"\x89PNG\r\n\x1a\n", b"IEND\xae\x42\x60\x82"


@dataclass(frozen=True)
class BrokenFile:
    """A polygon file that could not be drawn, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class PreparedMasks:
    """The result of `prepare_cityscapes`.

    Attributes:
        root: the data set's folder.
        num_annotations: number of polygon files.
        num_drawn: masks that were drawn in this run.
        num_kept: masks that existed already.
        broken: polygon files that could not be drawn.
    """

    root: Path
    num_annotations: int
    num_drawn: int
    num_kept: int
    broken: tuple[BrokenFile, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the result, ready for JSON."""
        return {
            "root": str(self.root),
            "polygon_files": self.num_annotations,
            "drawn": self.num_drawn,
            "kept": self.num_kept,
            "broken": [{"path": str(file.path), "reason": file.reason} for file in self.broken],
        }


def prepare_cityscapes(
    root: str | os.PathLike[str],
    kinds: Sequence[str] = tuple(MASK_KINDS),
    *,
    workers: int = 1,
    overwrite: bool = False,
    progress: Counter | None = None,
) -> PreparedMasks:
    """Draws masks next to all polygon files of `gtFine` and `gtCoarse`, named as by the official scripts.

    Existing masks are kept, so an interrupted run can be resumed. Masks without the beginning and the end of a PNG are
    drawn again. Broken polygon files are skipped.

    Args:
        root: the folder that contains `gtFine`, `gtCoarse` or both.
        kinds: the masks to draw, keys of `MASK_KINDS`.
        workers: number of processes.
        overwrite: draw existing masks again.
        progress: called with the number of finished polygon files, and of all.

    Raises:
        DatasetError: there are no polygon files.
        InputError: `kinds` is empty or has an unknown kind, or `workers` is less than 1.
        RapidSegError: a mask cannot be written.
    """
    folder = Path(root)
    for kind in kinds:
        if kind not in MASK_KINDS:
            hint = nearest_hint(kind, tuple(MASK_KINDS))
            raise InputError(f"unknown kind of mask {kind!r}; choose from {', '.join(MASK_KINDS)}{hint}")
    if not kinds:
        raise InputError(f"no kinds of mask given; name at least one of {', '.join(MASK_KINDS)}")
    if workers < 1:
        raise InputError(f"workers is {workers}, but must be at least 1")
    files = find_polygon_files(folder)
    kinds = tuple(dict.fromkeys(kinds))
    missing_kinds = {
        path: [kind for kind in kinds if overwrite or not _is_whole(mask_path(path, kind))] for path in files
    }
    missing = [(path, needed) for path, needed in missing_kinds.items() if needed]
    done = len(files) - len(missing)
    if progress is not None:
        progress(done, len(files))
    num_drawn, broken = 0, []
    try:
        for outcome in unordered_process_map(_draw, missing, processes=workers):
            if isinstance(outcome, BrokenFile):
                broken.append(outcome)
            else:
                num_drawn += outcome
            done += 1
            if progress is not None:
                progress(done, len(files))
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"{done} of {count_of(len(files), 'polygon file')} drawn in {folder}; run the same command again to resume"
        ) from stop
    num_kept = sum(len(kinds) - len(needed) for needed in missing_kinds.values())
    return PreparedMasks(folder, len(files), num_drawn, num_kept, tuple(sorted(broken, key=lambda file: file.path)))


def find_polygon_files(root: Path) -> list[Path]:
    """Returns the polygon files of `gtFine` and `gtCoarse`, sorted.

    Raises:
        DatasetError: there are none.
    """
    files = _polygon_files(root)
    if files:
        return files
    if any((root / folder).is_dir() for folder in ANNOTATION_FOLDERS):
        raise DatasetError(
            f"no polygon files in {root}. Expected:\n{_EXPECTED}"
            "unpack gtFine_trainvaltest.zip or gtCoarse.zip of Cityscapes there"
        )
    candidates = [
        folder for folder in nearby_folders(root) if any((folder / name).is_dir() for name in ANNOTATION_FOLDERS)
    ]
    raise wrong_root("Cityscapes", root, list(ANNOTATION_FOLDERS), _EXPECTED, candidates)


def mask_path(polygon_file: Path, kind: str) -> Path:
    """Returns the path of a mask of a polygon file, named as by the official scripts."""
    return polygon_file.with_name(f"{polygon_file.name.removesuffix(POLYGONS)}_{kind}.png")


def _polygon_files(root: Path) -> list[Path]:
    folders = [root / name for name in ANNOTATION_FOLDERS if (root / name).is_dir()]
    return sorted(
        path
        for folder in folders
        for path in walk_files(folder)
        if path.name.endswith(POLYGONS) and "_gt" in path.name and len(path.relative_to(folder).parts) == _DEPTH
    )


def _is_whole(path: Path) -> bool:
    """Returns whether a file begins and ends like a PNG; unpacking or another tool may have been interrupted."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(_PNG_BEGINS)) == _PNG_BEGINS
            file.seek(-len(_PNG_ENDS), os.SEEK_END)
            return begins and file.read() == _PNG_ENDS
    except OSError:
        return False


def _draw(task: tuple[Path, list[str]]) -> int | BrokenFile:
    """Draws the missing masks of a polygon file, and returns how many."""
    path, kinds = task
    try:
        masks = draw_masks(read_annotation(path), path, kinds)
        for kind, mask in masks.items():
            write_image(mask_path(path, kind), mask)
    except InputError as error:  # DatasetError too; the name of a mask is longer than that of its polygon file
        return BrokenFile(path, str(error).removeprefix(f"{path}: "))
    return len(masks)
