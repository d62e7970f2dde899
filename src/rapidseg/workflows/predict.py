"""Segments image files and writes class maps and pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidseg.core.arguments import as_names, as_paths
from rapidseg.core.choices import EngineChoice, PrecisionChoice, SaveKind
from rapidseg.core.errors import InputError, Interrupted, RapidSegError
from rapidseg.core.progress import DOWNLOADS, Progress
from rapidseg.core.report import Report
from rapidseg.core.sizes import InputSizeLike
from rapidseg.core.wording import count_of
from rapidseg.imaging import search_images
from rapidseg.runtime import Segmenter, model_file
from rapidseg.runtime.output_folder import KINDS, OutputFolder, make_record, write_record
from rapidseg.runtime.video_sources import check_is_no_video
from rapidseg.workflows.arguments import checked, model_or_segmenter
from rapidseg.workflows.load import load
from rapidseg.zoo import built_in_models

_SUGGESTED_MODEL = "fast-scnn-cityscapes"  # instead of the built-in demonstration
_TASK = "segmenting"


@dataclass(frozen=True)
class PredictionReport(Report):
    """What was segmented, how, and where the results are.

    Attributes:
        record: of the run, as written to `record_path`.
        record_path: `predictions.json` in the output folder; `predictions.incomplete.json` if that one is the record of
            a better run.
        folders: the folder of each kind of picture.
    """

    record: Mapping[str, Any]
    record_path: Path
    folders: Mapping[str, Path]

    @property
    def complete(self) -> bool:
        """Whether every image was segmented and saved."""
        return bool(self.record["complete"])

    @property
    def files(self) -> Sequence[Mapping[str, Any]]:
        """An entry per image that was segmented: its files, sizes, class shares and timings."""
        entries: list[Mapping[str, Any]] = self.record["files"]
        return entries

    @property
    def failed(self) -> Sequence[Mapping[str, Any]]:
        """`file` and `error` of each image that was skipped, and `earlier_files`: its pictures of earlier runs."""
        entries: list[Mapping[str, Any]] = self.record["failed"]
        return entries

    def headline(self) -> str:
        skipped = f", {len(self.failed)} skipped" if self.failed else ""
        missing = self.record["num_images"] - len(self.files) - len(self.failed)
        left = f"; interrupted, {missing} left" if missing else ""
        return f"{count_of(self.files, 'image')} segmented{skipped}{left}; {self.record_path}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the record, ready for JSON."""
        return dict(self.record)


@checked(
    *("output", "input_size", "engine", "precision", "device", "download", "progress"),
    images=as_paths,
    model=model_or_segmenter,
    save=as_names,
)
def predict(
    images: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    *,
    model: str | os.PathLike[str] | Segmenter | None = None,
    output: str | os.PathLike[str] = "predictions",
    save: SaveKind | Iterable[SaveKind] = ("class-map", "overlay"),
    input_size: InputSizeLike | None = None,
    engine: EngineChoice = "auto",
    precision: PrecisionChoice = "auto",
    device: str = "auto",
    download: bool = True,
    progress: Progress = DOWNLOADS,
) -> PredictionReport:
    """Segments image files and writes class maps and pictures; images that cannot be read or segmented are skipped.

    The pictures of each image that is segmented replace those of its name in the output folder. A skipped image
    replaces and deletes nothing; its entry in the record lists its pictures of earlier runs. A run that fails before
    the first image leaves the folder as it was. The record of a run in which all images were segmented is never
    replaced by that of a run in which images were skipped or that was interrupted; see `PredictionReport.record_path`.

    Args:
        images: image files, folders of images and globs. None: the built-in sample.
        model: as for `rapidseg.load`, or a segmenter.
        output: folder for the results.
        save: kinds of pictures to write, one or several: "class-map", "overlay", "confidence".
        input_size: the size at which the network sees the images: pixels of the shorter side, (height, width), or
            either as text. None: the size that the model was made for, or else the images' own.
        engine: as for `rapidseg.load`; ignored for a segmenter.
        precision: as for `rapidseg.load`; ignored for a segmenter.
        device: as for `rapidseg.load`; ignored for a segmenter.
        download: as for `rapidseg.load`; ignored for a segmenter.
        progress: watches the images, and is told which are skipped.

    Raises:
        InputError: nothing matches `images`, an unknown kind, or an output would overwrite an image.
        RapidSegError: as for `rapidseg.load`, or a file cannot be written.
    """
    if images is None:
        progress.message("no image given: segmenting the built-in sample")
        images = model_file.SAMPLE_IMAGE
    sources = as_paths("images", images)
    for source in sources:
        check_is_no_video(source)
    found = search_images(sources)
    paths = list(found.paths)
    if not paths:
        raise InputError("no images given; pass image files, folders of images or globs")
    folder = OutputFolder(Path(output), paths, as_names("save", save))
    for note in found.notes():
        progress.message(note)
    if isinstance(model, Segmenter):
        segmenter = model
    else:
        segmenter = load(model, engine=engine, precision=precision, device=device, download=download, progress=progress)
    entries: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []

    def report_progress() -> None:
        progress.update(_TASK, len(entries) + len(failed), len(paths))

    def skip(image: Path | int, error: RapidSegError) -> None:
        earlier = folder.earlier_files(Path(str(image)))
        failed.append({"file": str(image), "error": str(error), "earlier_files": earlier})
        kept = f"; from an earlier run: {', '.join(earlier)}" if earlier else ""
        progress.message(f"skipped: {error}{kept}")
        report_progress()

    results = segmenter.stream(paths, input_size=input_size, confidence="confidence" in folder.kinds, on_error=skip)
    at_end = False
    try:
        with closing(results), closing(folder.save_all(results, on_error=skip)) as saved:
            for entry in saved:
                entries.append(entry)
                report_progress()
        at_end = True
    except KeyboardInterrupt as stop:
        raise Interrupted(f"{len(entries)} of {count_of(paths, 'image')} saved in {folder.folder}") from stop
    finally:
        if at_end or entries:  # also after an interruption
            record = make_record(segmenter, entries, failed, num_images=len(paths))
            record_path = write_record(folder.folder, record)
    if model is None:
        name = model_file.BUILT_IN_MODELS[0]
        progress.message(
            f"note: {name} is {built_in_models()[name].remark}; for photos of other streets pass --model "
            f"{_SUGGESTED_MODEL} (model= in Python)"
        )
    return PredictionReport(record, record_path, {kind: folder.folder / KINDS[kind][0] for kind in folder.kinds})
