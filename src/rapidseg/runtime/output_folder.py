"""Writes results to files: the pictures of each image, and the record of the run."""

from __future__ import annotations

import functools
import itertools
import json
import os
import statistics
import time
import unicodedata
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rapidseg.core.budget import OrderedBudget
from rapidseg.core.errors import ImageError, InputError, RapidSegError
from rapidseg.core.files import check_output_folder, write_text
from rapidseg.core.out_of_memory import is_out_of_memory
from rapidseg.core.output_paths import check_derived_files, fitting_name
from rapidseg.core.parallel import ordered_map
from rapidseg.imaging import MAX_JPEG_SIDE, is_own_picture, write_class_map, write_image
from rapidseg.runtime.result import Result, check_kind
from rapidseg.runtime.segmenter import Segmenter
from rapidseg.runtime.streaming import MAX_PIXELS_UNDER_WAY

# Folder and suffix of each kind.
KINDS = {"class-map": ("class_maps", ".png"), "overlay": ("overlays", ".jpg"), "confidence": ("confidences", ".png")}
DEFAULT_KINDS = ("class-map", "overlay")
RECORD_NAME = "predictions.json"
INCOMPLETE_RECORD_NAME = "predictions.incomplete.json"
_LONGEST_SUFFIX = ".png"
_WRITERS = 2  # threads


class OutputFolder:
    """Assigns every image its own output files in one folder.

    A class map is written to `class_maps/NAME.png`, an overlay to `overlays/NAME.jpg`, and a confidence, a gray image,
    to `confidences/NAME.png`. NAME is the name of the image file without its suffix; where two images share a name, the
    later ones get `_2`, `_3` and so on.
    """

    def __init__(self, folder: Path, images: Sequence[Path], kinds: Sequence[str]) -> None:
        """Plans the files; writes nothing.

        Args:
            folder: where to write; need not exist.
            images: the images that will be segmented.
            kinds: which of `KINDS` to write.

        Raises:
            InputError: an unknown kind, `folder` is a file, or an output would overwrite an image or a file that is
                not the output of an earlier run.
            RapidSegError: `folder` cannot be written to.
        """
        for kind in kinds:
            check_kind(kind)
        self.folder = check_output_folder(folder)
        self.kinds = tuple(kind for kind in KINDS if kind in kinds)
        self._names = _distinct_names(images)
        inputs = {os.path.realpath(image) for image in images}
        records = [self.folder / name for name in (RECORD_NAME, INCOMPLETE_RECORD_NAME)]
        paths = [path for image in images for path in self.paths(image).values()]
        for path in (*records, *paths):
            if os.path.realpath(path) in inputs:
                raise InputError(f"{path} is an image to segment and would be overwritten; choose another folder")
        check_derived_files(self.folder, records, is_ours=_may_replace_record)
        recorded = {path for record in records for path in _recorded_paths(record)}
        check_derived_files(
            self.folder, paths, is_ours=lambda path: is_own_picture(path) or os.path.realpath(path) in recorded
        )

    def paths(self, image: Path) -> dict[str, Path]:
        """Returns the output file of each kind."""
        name = self._names[image]
        return {kind: self.folder / KINDS[kind][0] / f"{name}{KINDS[kind][1]}" for kind in self.kinds}

    def earlier_files(self, image: Path) -> list[str]:
        """Returns the pictures of an image that earlier runs left; a run that skips the image does not replace them."""
        return [str(path) for path in self.paths(image).values() if path.exists()]

    def save_all(
        self, results: Iterable[Result], *, on_error: Callable[[Path | int, RapidSegError], None] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """Writes the results of a stream in threads while it runs, in order; yields what `save` returns for each.

        Args:
            results: of a stream; a large one waits until those before it are written.
            on_error: called with the path and the error of an image that cannot be drawn, as where memory is short.
                None: the error is raised.

        Raises:
            RapidSegError: a file cannot be written.
        """
        with OrderedBudget(MAX_PIXELS_UNDER_WAY) as budget:
            save = functools.partial(self._save_numbered, budget)
            for saved in ordered_map(save, _as_budget_allows(results, budget), threads=_WRITERS):
                if isinstance(saved, dict):
                    yield saved
                elif on_error is None:
                    raise saved[1]
                else:
                    on_error(*saved)

    def _save_numbered(
        self, budget: OrderedBudget, holder: list[tuple[int, Result]]
    ) -> dict[str, Any] | tuple[Path, RapidSegError]:
        index, result = holder.pop()
        try:
            return self.save(result)
        except Exception as error:
            source = Path(str(result.source))
            if isinstance(error, InputError):
                return source, error
            if not is_out_of_memory(error):
                raise
            return source, ImageError(f"{source}: not enough memory to draw it; save fewer kinds, or tile it")
        finally:
            budget.release(index)

    def save(self, result: Result) -> dict[str, Any]:
        """Writes the files of one result of a stream, each atomically; returns its entry for the record.

        Raises:
            RapidSegError: a file cannot be written.
        """
        image = Path(str(result.source))
        paths = self.paths(image)
        start = time.perf_counter()
        drawn = result.plot() if "overlay" in paths else None
        middle = time.perf_counter()
        if "class-map" in paths:
            write_class_map(paths["class-map"], result.class_map, result.labels.palette_array())
        if drawn is not None:
            if max(drawn.shape[:2]) > MAX_JPEG_SIDE:
                paths["overlay"] = paths["overlay"].with_suffix(".png")
                check_derived_files(self.folder, [paths["overlay"]], is_ours=is_own_picture)
            write_image(paths["overlay"], drawn)
        if "confidence" in paths and result.confidence is not None:
            write_image(paths["confidence"], result.confidence)
        end = time.perf_counter()
        timings_ms = {**result.timings_ms, "draw": 1e3 * (middle - start), "write": 1e3 * (end - middle)}
        facts = result.to_dict()
        return {
            "file": str(image),
            "size_hw": facts["size_hw"],
            "input_size_hw": facts["input_size_hw"],
            **{kind.replace("-", "_"): str(path) for kind, path in paths.items()},
            "class_shares": facts["class_shares"],
            "timings_ms": {stage: round(value, 3) for stage, value in timings_ms.items()},
        }


def _as_budget_allows(results: Iterable[Result], budget: OrderedBudget) -> Iterator[list[tuple[int, Result]]]:
    """Yields results with their numbers, each in a list from which it is taken, so that nobody else keeps it alive."""
    # The next image is requested, that is read and segmented, only when those before it are nearly written.
    iterator = iter(results)
    for index in itertools.count():
        budget.wait_below(MAX_PIXELS_UNDER_WAY // 2)
        result = next(iterator, None)
        if result is None:
            return
        budget.acquire(index, result.size_hw[0] * result.size_hw[1])
        holder = [(index, result)]
        del result
        yield holder


def make_record(
    segmenter: Segmenter,
    entries: Sequence[Mapping[str, Any]],
    failed: Sequence[Mapping[str, Any]],
    *,
    num_images: int,
) -> dict[str, Any]:
    """Returns the record of a run, for JSON.

    `complete` is true only if every image was segmented and saved: none skipped, and no interruption before the last.

    Args:
        segmenter: what segmented the images.
        entries: of the images that were segmented, as `OutputFolder.save` returns them.
        failed: `file`, `error` and `earlier_files` of the images that were skipped.
        num_images: how many images the run was asked to segment.
    """
    spec = segmenter.spec
    stages = entries[0]["timings_ms"] if entries else ()
    return {
        "complete": len(entries) == num_images,
        "num_images": num_images,
        "model": {
            "file": str(segmenter.path),
            "architecture": spec.architecture,
            "dataset": spec.training_data,
            "license": spec.license,
            "checksum": spec.checksum,
        },
        "engine": segmenter.engine.name,
        "precision": segmenter.engine.precision,
        "device": segmenter.engine.device,
        "choice": segmenter.engine.choice,
        "classes": list(spec.labels.names),
        "median_ms": {
            stage: round(statistics.median(entry["timings_ms"][stage] for entry in entries), 3) for stage in stages
        },
        "files": list(entries),
        "failed": list(failed),
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> Path:
    """Writes the record of a run to its folder; the record of a better run is never replaced.

    A run in which every image was segmented is better than one in which some were skipped or that was interrupted, and
    that one is better than a run in which none was segmented. `predictions.json` is the record of the last run among
    the best ones. A worse run that follows is recorded in `predictions.incomplete.json`, which the next run that
    writes `predictions.json` removes.

    Returns:
        The path of the file that was written.

    Raises:
        RapidSegError: it cannot be written.
    """
    path, incomplete = folder / RECORD_NAME, folder / INCOMPLETE_RECORD_NAME
    is_worse = _quality(record) < _quality(_read_record(path))
    write_text(incomplete if is_worse else path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    if is_worse:
        return incomplete
    incomplete.unlink(missing_ok=True)
    return path


def _quality(record: Mapping[str, Any]) -> int:
    if not record.get("files"):
        return 0
    return 2 if record.get("complete") else 1


def _read_record(path: Path) -> Mapping[str, Any]:
    """Returns the record in a file; an empty one if the file does not exist or holds something else."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _distinct_names(images: Sequence[Path]) -> dict[Path, str]:
    """Returns a name for each image, without a suffix.

    Names differ even on file systems that ignore case or the encoding of accents, and are short enough for any suffix.
    """
    names: dict[Path, str] = {}
    taken: set[str] = set()
    numbers: dict[str, int] = {}  # the last one of each stem
    for image in images:
        stem = _key(image.stem)
        name, number = fitting_name(image.stem, _LONGEST_SUFFIX), numbers.get(stem, 1)
        while _key(name) in taken:
            number += 1
            name = fitting_name(f"{image.stem}_{number}", _LONGEST_SUFFIX)
        numbers[stem] = number
        taken.add(_key(name))
        names[image] = name.removesuffix(_LONGEST_SUFFIX)
    return names


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _may_replace_record(path: Path) -> bool:
    """Returns whether a file is a record, or a damaged one; not the results of another program in the same format."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return path.is_file()
    if isinstance(content, dict):
        return {"complete", "files", "failed"} <= content.keys()
    return not (isinstance(content, list) and any(isinstance(item, dict) for item in content))


def _recorded_paths(record: Path) -> set[str]:
    """Returns the pictures of earlier runs; those of version 0.1.0 do not say themselves who wrote them."""
    entries = _read_record(record).get("files", ())
    kinds = [kind.replace("-", "_") for kind in KINDS]
    return {os.path.realpath(entry[kind]) for entry in entries for kind in kinds if isinstance(entry.get(kind), str)}
