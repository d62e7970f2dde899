"""Drawing the masks of Cityscapes from its polygon files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidseg.core.errors import DatasetError, InputError, nearest_hint
from rapidseg.core.parallel import unordered_process_map
from rapidseg.data.layouts.base import nearby_folders, wrong_root
from rapidseg.data.polygons import MASK_KINDS, draw_masks, read_annotation
from rapidseg.imaging import write_image

ANNOTATION_FOLDERS = ("gtFine", "gtCoarse")
POLYGONS = "_polygons.json"  # how the name of a polygon file ends

_EXPECTED = """\
  gtFine/SPLIT/CITY/*_gtFine_polygons.json
  gtCoarse/SPLIT/CITY/*_gtCoarse_polygons.json
"""
_PNG_BEGINS, _PNG_ENDS = b"\x89PNG\r\n\x1a\n", b"IEND\xae\x42\x60\x82"


@dataclass(frozen=True)
class BrokenFile:
    """A polygon file of which no masks were drawn, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class PreparedMasks:
    """What `prepare_cityscapes` did.

    Attributes:
        root: the data set's folder.
        num_annotations: polygon files that were found.
        num_drawn: masks that were drawn now.
        num_kept: masks that were there already.
        broken: polygon files that could not be drawn.
    """

    root: Path
    num_annotations: int
    num_drawn: int
    num_kept: int
    broken: tuple[BrokenFile, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
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
    progress: Callable[[int, int], None] | None = None,
) -> PreparedMasks:
    """Draws masks beside all polygon files of `gtFine` and `gtCoarse`, with the names of the official scripts.

    A mask that is there is kept, so a run that was interrupted goes on where it was. A mask without a PNG's beginning
    and end counts as not there. A polygon file that is broken is left out, and all others are drawn.

    Args:
        root: the folder that holds `gtFine`, `gtCoarse` or both.
        kinds: what to draw, of `MASK_KINDS`.
        workers: processes that draw.
        overwrite: draw masks that are there, too.
        progress: called with the number of polygon files that are done, and of all.

    Raises:
        DatasetError: there are no polygon files.
        InputError: `kinds` names something else, or nothing; `workers` is less than 1.
        RapidSegError: a mask cannot be written.
    """
    folder = Path(root)
    for kind in kinds:
        if kind not in MASK_KINDS:
            raise InputError(
                f"no masks are called {kind!r}; give {', '.join(MASK_KINDS)}{nearest_hint(kind, tuple(MASK_KINDS))}"
            )
    if not kinds:
        raise InputError(f"give one kind of mask at least: {', '.join(MASK_KINDS)}")
    if workers < 1:
        raise InputError(f"workers is {workers}; give 1 or more")
    files = find_polygon_files(folder)
    kinds = tuple(dict.fromkeys(kinds))
    wanted = {path: [kind for kind in kinds if overwrite or not _is_whole(mask_path(path, kind))] for path in files}
    missing = [(path, needed) for path, needed in wanted.items() if needed]
    done = len(files) - len(missing)
    if progress is not None:
        progress(done, len(files))
    num_drawn, broken = 0, []
    for outcome in unordered_process_map(_draw, missing, processes=workers):
        if isinstance(outcome, BrokenFile):
            broken.append(outcome)
        else:
            num_drawn += outcome
        done += 1
        if progress is not None:
            progress(done, len(files))
    num_kept = sum(len(kinds) - len(needed) for needed in wanted.values())
    return PreparedMasks(folder, len(files), num_drawn, num_kept, tuple(sorted(broken, key=lambda file: file.path)))


def find_polygon_files(root: Path) -> list[Path]:
    """Finds the polygon files of `gtFine` and `gtCoarse`, sorted.

    Raises:
        DatasetError: there are none.
    """
    found = _polygon_files(root)
    if found:
        return found
    if any((root / folder).is_dir() for folder in ANNOTATION_FOLDERS):
        raise DatasetError(
            f"no polygon files below {root}; expected are\n{_EXPECTED}"
            "unpack gtFine_trainvaltest.zip or gtCoarse.zip of Cityscapes there"
        )
    candidates = [
        folder for folder in nearby_folders(root) if any((folder / name).is_dir() for name in ANNOTATION_FOLDERS)
    ]
    raise wrong_root("Cityscapes", root, list(ANNOTATION_FOLDERS), _EXPECTED, candidates)


def mask_path(polygon_file: Path, kind: str) -> Path:
    """Returns the mask of a polygon file, as the official scripts name it."""
    return polygon_file.with_name(f"{polygon_file.name.removesuffix(POLYGONS)}_{kind}.png")


def _polygon_files(root: Path) -> list[Path]:
    return sorted(
        path
        for folder in ANNOTATION_FOLDERS
        for path in root.glob(f"{folder}/*/*/*_gt*{POLYGONS}")
        if not path.name.startswith(".")
    )


def _is_whole(path: Path) -> bool:
    """Tells whether a file begins and ends as a PNG: unpacking or another tool may have been cut off half-way."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(_PNG_BEGINS)) == _PNG_BEGINS
            file.seek(-len(_PNG_ENDS), os.SEEK_END)
            return begins and file.read() == _PNG_ENDS
    except OSError:
        return False


def _draw(wanted: tuple[Path, list[str]]) -> int | BrokenFile:
    """Draws the masks of one polygon file that are wanted, and returns how many."""
    path, kinds = wanted
    try:
        masks = draw_masks(read_annotation(path), path, kinds)
    except DatasetError as error:
        return BrokenFile(path, str(error).removeprefix(f"{path}: "))
    for kind, mask in masks.items():
        write_image(mask_path(path, kind), mask)
    return len(masks)
