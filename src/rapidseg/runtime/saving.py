"""Results to files: where each goes, and what a run leaves behind about itself."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rapidseg.core.errors import InputError, nearest_hint
from rapidseg.core.files import write_text
from rapidseg.core.parallel import ordered_map
from rapidseg.imaging import add_legend, write_class_map, write_image
from rapidseg.runtime.result import Result
from rapidseg.runtime.segmenter import Segmenter

# Folder and suffix of each.
KINDS = {"class-map": ("class_maps", ".png"), "overlay": ("overlays", ".jpg"), "confidence": ("confidences", ".png")}
DEFAULT_KINDS = ("class-map", "overlay")
RECORD_NAME = "predictions.json"
_WRITERS = 2  # threads


class OutputFolder:
    """Gives every image its own output files in one folder.

    A class map goes to `class_maps/NAME.png`, an overlay to `overlays/NAME.jpg`, a confidence, a gray image, to
    `confidences/NAME.png`. NAME is the image's own without its
    suffix; where two images would share one, the later gets `_2`, `_3` and so on.
    """

    def __init__(self, folder: Path, images: Sequence[Path], kinds: Sequence[str]) -> None:
        """Plans the files; writes nothing.

        Args:
            folder: where to write; need not exist.
            images: what will be segmented.
            kinds: which of `KINDS` to write.

        Raises:
            InputError: an unknown kind, a file in the folder's place, or an output that would overwrite an image.
        """
        for kind in kinds:
            if kind not in KINDS:
                allowed = tuple(KINDS)
                raise InputError(
                    f"{kind!r} cannot be saved; allowed are {', '.join(allowed)}{nearest_hint(kind, allowed)}"
                )
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: is a file; results go to a folder, choose another name")
        self.folder = folder
        self.kinds = tuple(kind for kind in KINDS if kind in kinds)
        self._names = _distinct_names(images)
        inputs = {os.path.realpath(image) for image in images}
        for image in images:
            for path in self.paths(image).values():
                if os.path.realpath(path) in inputs:
                    raise InputError(f"{path}: is an image to segment and would be overwritten; choose another folder")

    def paths(self, image: Path) -> dict[str, Path]:
        """Returns the output file of each kind."""
        name = self._names[image]
        return {kind: self.folder / KINDS[kind][0] / f"{name}{KINDS[kind][1]}" for kind in self.kinds}

    def save_all(self, results: Iterable[Result]) -> Generator[dict[str, Any], None, None]:
        """Writes results of a stream in threads while it goes on, in order; gives what `save` returns for each.

        Raises:
            RapidSegError: a file cannot be written.
        """
        return ordered_map(self.save, results, threads=_WRITERS)

    def save(self, result: Result) -> dict[str, Any]:
        """Writes the files of one result from a stream, each whole or not at all; returns its entry for the record.

        Raises:
            RapidSegError: a file cannot be written.
        """
        image = Path(str(result.source))
        paths = self.paths(image)
        start = time.perf_counter()
        drawn = None
        if "overlay" in paths:
            drawn = add_legend(result.overlay(), result.labels, result.class_map)
        middle = time.perf_counter()
        if "class-map" in paths:
            write_class_map(paths["class-map"], result.class_map, result.labels.palette_array())
        if drawn is not None:
            write_image(paths["overlay"], drawn)
        if "confidence" in paths and result.confidence is not None:
            write_image(paths["confidence"], result.confidence)
        end = time.perf_counter()
        timings_ms = {**result.timings_ms, "draw": 1e3 * (middle - start), "write": 1e3 * (end - middle)}
        return {
            "file": str(image),
            "size_hw": list(result.class_map.shape),
            "input_size_hw": list(result.input_size_hw),
            **{kind.replace("-", "_"): str(path) for kind, path in paths.items()},
            "class_shares": {name: round(share, 6) for name, share in result.class_shares().items()},
            "timings_ms": {stage: round(value, 3) for stage, value in timings_ms.items()},
        }


def make_record(
    segmenter: Segmenter, entries: Sequence[Mapping[str, Any]], failed: Sequence[Mapping[str, str]], *, complete: bool
) -> dict[str, Any]:
    """Returns what is to be known about a run, for JSON.

    Args:
        segmenter: what was used.
        entries: of the images that were segmented, as `OutputFolder.save` returns them.
        failed: `file` and `error` of the others.
        complete: False after an interruption, when more images were to come.
    """
    spec = segmenter.spec
    stages = entries[0]["timings_ms"] if entries else ()
    return {
        "complete": complete,
        "model": {
            "file": str(segmenter.path),
            "architecture": spec.architecture,
            "dataset": spec.dataset,
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
    """Writes a run's record into its folder and returns the file's path.

    Raises:
        RapidSegError: it cannot be written.
    """
    path = folder / RECORD_NAME
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return path


def _distinct_names(images: Sequence[Path]) -> dict[Path, str]:
    """Returns a name for each image; names differ even where the file system ignores case."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for image in images:
        name, number = image.stem, 1
        while name.lower() in taken:
            number += 1
            name = f"{image.stem}_{number}"
        taken.add(name.lower())
        names[image] = name
    return names
