"""`evaluate`: scores of a model on a labeled data set."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rapidseg.core.arguments import as_items, as_numbers, as_texts, check_path, is_integer, refusal
from rapidseg.core.choices import ClassMappingName, EngineChoice, PrecisionChoice, ProtocolName
from rapidseg.core.errors import InputError
from rapidseg.core.extras import require_extra
from rapidseg.core.files import check_output_file
from rapidseg.core.progress import DOWNLOADS, Progress, counter
from rapidseg.core.report import Report, with_warnings
from rapidseg.core.sizes import InputSizeLike, SizeLike, format_size, to_input_size, to_size
from rapidseg.core.wording import count_of
from rapidseg.workflows.arguments import FLAG, TEXT, checked, integer, model_or_segmenter

if TYPE_CHECKING:
    from rapidseg.evaluation import Evaluation, EvaluationProtocol, ImageScore, Observer, Scores
    from rapidseg.evaluation.report import ExtremeImages, Run
    from rapidseg.evaluation.scoring import FailedImage, LabeledImage
    from rapidseg.runtime import Segmenter


@dataclass(frozen=True, eq=False)
class EvaluationReport(Report):
    """Scores of a model on a data set, and how they were measured.

    Attributes:
        evaluation: the scores: of the whole data set, of each class and of each image.
        run: the settings; everything that the JSON document says.
        num_worst: how many of the worst images the JSON document lists.
    """

    evaluation: Evaluation
    run: Run
    num_worst: int = 5
    _pictures: ExtremeImages | None = field(default=None, repr=False)

    @property
    def scores(self) -> Scores:
        """Scores over all pixels: `mean_iou`, `mean_accuracy`, `pixel_accuracy`, and `iou` and `accuracy` by class."""
        return self.evaluation.scores

    @property
    def class_iou(self) -> dict[str, float]:
        """IoU of each class by its name; NaN for a class that does not occur."""
        return dict(zip(self.evaluation.labels.names, map(float, self.scores.iou), strict=True))

    @property
    def worst(self) -> list[ImageScore]:
        """The images with the lowest mean IoU, the lowest first."""
        return self.evaluation.ranked_images()[: self.num_worst]

    @property
    def protocol(self) -> dict[str, Any]:
        """`name`, `description` and settings of the protocol."""
        return self.run.protocol

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons why the scores mean less than they seem to, in sentences."""
        return self.run.warnings

    def to_dict(self) -> dict[str, Any]:
        """Returns the JSON document of the evaluation, with None where a score is not defined."""
        from rapidseg.evaluation.report import run_document

        return run_document(self.run, self.evaluation, num_worst=self.num_worst)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the JSON document, which `compare_runs` and `rapidseg report` read.

        Raises:
            RapidSegError: the file cannot be written.
        """
        from rapidseg.core.files import write_text

        write_text(path, json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n")

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Writes a self-contained HTML page with scores, confusion matrix, and the worst and the best images.

        Returns:
            The file.

        Raises:
            InputError: the name of the file does not end in .html.
            RapidSegError: it cannot be written.
        """
        file = check_output_file(path, (".html", ".htm"))
        require_extra("report", "jinja2")
        from rapidseg.evaluation.report import page

        pictures = self._pictures
        worst, best = ([], []) if pictures is None else (pictures.worst, pictures.best)
        page.write_run_page(file, self.run, worst=worst, best=best)
        return file

    @property
    def failed(self) -> Sequence[FailedImage]:
        """The images that could not be read or segmented; no score counts them."""
        return self.evaluation.failed

    @property
    def complete(self) -> bool:
        """Whether every image was scored."""
        return not self.evaluation.failed

    def headline(self) -> str:
        images = count_of(self.run.num_images, "image")
        scored = f"{self.run.title}: mIoU {self.scores.mean_iou:.3f}, {images}, {self.protocol['description']}"
        return with_warnings(scored, self.warnings)


def _check_class_mapping(name: str, value: object) -> None:
    if not isinstance(value, str):
        expected = "the name of a mapping, or the class of the data for each class of the model"
        for item in as_items(name, value, expected):
            if not is_integer(item):
                raise refusal(name, value, expected)


@checked(
    *("data", "root", "split", "crop", "stride", "scales", "input_size", "engine", "precision", "device"),
    *("submission", "output", "html", "download", "progress"),
    model=model_or_segmenter,
    protocol=TEXT,
    flip=FLAG,
    subsample=integer(1),
    class_mapping=_check_class_mapping,
    worst=integer(0),
    save=check_path,
    command=as_texts,
)
def evaluate(
    model: str | os.PathLike[str] | Segmenter | None = None,
    *,
    data: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    split: str = "val",
    protocol: ProtocolName = "whole",
    crop: SizeLike | None = None,
    stride: SizeLike | None = None,
    scales: str | float | Sequence[float] | None = None,
    flip: bool | None = None,
    input_size: InputSizeLike | None = None,
    subsample: Literal[1, 2, 4] = 1,
    class_mapping: ClassMappingName | Sequence[int] | None = None,
    engine: EngineChoice = "auto",
    precision: PrecisionChoice = "auto",
    device: str = "auto",
    worst: int = 5,
    save: str | os.PathLike[str] | None = None,
    submission: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    html: str | os.PathLike[str] | None = None,
    command: str | Sequence[str] = (),
    download: bool = True,
    progress: Progress = DOWNLOADS,
) -> EvaluationReport:
    """Predicts every image of a split and scores the class maps at the labels' own size.

    Scores count the pixels of the whole split. An image that cannot be read or segmented is skipped and named, and a
    warning says so: see `EvaluationReport.complete`. Checkpoints and exported files are scored alike.

    Args:
        model: name, file or `Segmenter`; None: the built-in Fast-SCNN.
        data: name of a data set, or a YAML file that describes one.
        root: the data set's folder; not needed where a YAML file names it.
        split: the split to score; splits may be joined: `val+test`.
        protocol: `whole` (the image goes through the network once), `sliding` (overlapping windows) or `multi-scale`.
        crop: for `sliding`: (height, width) of a window, or text such as "769x769". A crop that is larger than an image
            is cut to it.
        stride: for `sliding`: the same from window to window; None: two thirds of the crop.
        scales: for `multi-scale`: factors of the input size; None: 0.5, 0.75, 1, 1.25, 1.5 and 1.75.
        flip: for `multi-scale`: whether to add mirrored views; None: yes.
        input_size: the size at which the network sees the images: pixels of the shorter side, (height, width), or
            either as text; None: the model's own, or else the images' own.
        subsample: divides the input size: 1, 2 or 4.
        class_mapping: how the model's classes count as those of the data: the name of a known mapping, or the class
            of the data for each class of the model. None: by class names.
        engine: as for `rapidseg.load`; not with a `Segmenter`.
        precision: as for `rapidseg.load`; not with a `Segmenter`.
        device: as for `rapidseg.load`; not with a `Segmenter`.
        worst: how many of the worst images to list.
        save: folder for the predictions, PNGs of class ids.
        submission: folder for PNGs of label ids in the form that the Cityscapes benchmark accepts.
        output: file for the JSON document. It is checked before the first prediction.
        html: file for the HTML page. It is checked before the first prediction.
        command: words of the command line, which the report states; none: it states this call.
        download: whether weights that are not on disk may be downloaded.
        progress: watches the predictions.

    Raises:
        RapidSegError: model, data or settings cannot be used; the message says why.
    """
    from rapidseg.data import open_dataset
    from rapidseg.evaluation import (
        ClassMapping,
        InputScaling,
        ProtocolSettings,
        SubmissionWriter,
        score,
        training_warnings,
    )
    from rapidseg.evaluation.prediction_writer import PredictionWriter
    from rapidseg.evaluation.report import ExtremeImages, make_run

    crop = None if crop is None else to_size(crop, "crop")
    stride = None if stride is None else to_size(stride, "stride")
    scales = None if scales is None else as_numbers("scales", scales)
    input_size = None if input_size is None else to_input_size(input_size)
    settings = ProtocolSettings(protocol, crop, stride, scales, flip)
    scaling = InputScaling(input_size, subsample)
    inputs = (data, model)
    output = None if output is None else check_output_file(output, (".json",), inputs=inputs)
    html = None if html is None else _check_page(html, inputs)
    dataset = open_dataset(data, root, split)
    segmenter, name = _open(model, engine, precision, device, download, progress)
    predict = settings.protocol(segmenter, scaling)
    mapping = ClassMapping.between(segmenter.spec.labels, dataset.labels, class_mapping)
    pictures, windows = ExtremeImages(dataset.labels, worst), _CoveringWindows(predict)
    observers: list[Observer] = [pictures, windows]
    if save is not None:
        observers.append(PredictionWriter(save, dataset))
    if submission is not None:
        observers.append(SubmissionWriter(submission, dataset.labels))
    arguments: dict[str, Any] = {
        "data": data,
        "root": root,
        "split": split,
        "protocol": protocol,
        "crop": crop,
        "stride": stride,
        "scales": scales,
        "flip": flip,
        "input_size": input_size,
        "subsample": subsample,
        "class_mapping": class_mapping,
        "engine": engine,
        "precision": precision,
        "device": device,
    }
    start = time.monotonic()
    task = f"evaluating {dataset.name} {dataset.split}"
    evaluation = score(
        predict,
        dataset,
        class_mapping=mapping,
        progress=counter(progress, task),
        observers=observers,
        on_error=lambda failed: progress.message(f"skipped: {failed.error}"),
    )
    run = make_run(
        evaluation,
        date=datetime.now().astimezone(),
        command=(command if isinstance(command, str) else shlex.join(command)) or _call(name, arguments),
        model=name,
        license=segmenter.spec.license,
        engine=segmenter.engine.name,
        precision=segmenter.engine.precision,
        device=segmenter.engine.device,
        data=str(Path(data).resolve()) if Path(data).is_file() else os.fspath(data),
        root=None if root is None else str(Path(root).resolve()),
        dataset=dataset.name,
        split=dataset.split,
        protocol=predict.to_dict(),
        input_size=input_size,
        class_mapping=mapping.name,
        warnings=(
            *_skipped_warnings(evaluation),
            *training_warnings(name, segmenter.spec, dataset),
            *windows.warnings(),
        ),
        seconds=round(time.monotonic() - start, 3),
        saved=None if save is None else str(Path(save).resolve()),
    )
    report = EvaluationReport(evaluation, run, worst, pictures)
    if output is not None:
        report.save(output)
    if html is not None:
        report.to_html(html)
    return report


def _skipped_warnings(evaluation: Evaluation) -> tuple[str, ...]:
    if not evaluation.failed:
        return ()
    count = count_of(evaluation.failed, "image")
    return (
        f"{count} could not be read or segmented, so the scores are those of the other {len(evaluation.images)}; they "
        "cannot be compared with scores of the whole split",
    )


class _CoveringWindows:
    """An observer that counts the images that one sliding window covers whole."""

    def __init__(self, protocol: EvaluationProtocol) -> None:
        self._protocol = protocol
        self._covered = 0
        self._seen = 0

    def __call__(self, sample: LabeledImage, class_map: object, score: object) -> None:
        from rapidseg.evaluation import SlidingWindow

        self._seen += 1
        self._covered += isinstance(self._protocol, SlidingWindow) and self._protocol.covers(sample.image)

    def warnings(self) -> tuple[str, ...]:
        if not self._covered:
            return ()
        crop = format_size(self._protocol.to_dict()["crop_hw"])
        count = "every image" if self._covered == self._seen else f"{self._covered} of {self._seen} images"
        them = "it" if self._covered == self._seen else "them"
        return (
            f"the crop {crop} is as large as {count} at the network's input size, so the network saw {them} whole; "
            "use a smaller crop or a larger input size, or protocol whole",
        )


def _check_page(path: str | os.PathLike[str], inputs: Sequence[object]) -> Path:
    """Raises before the first prediction where the page could not be written after the last one."""
    file = check_output_file(path, (".html", ".htm"), inputs=inputs)
    require_extra("report", "jinja2")
    return file


def _open(
    model: str | os.PathLike[str] | Segmenter | None,
    engine: EngineChoice,
    precision: PrecisionChoice,
    device: str,
    download: bool,
    progress: Progress,
) -> tuple[Segmenter, str]:
    """Returns the model, and what reports call it."""
    from rapidseg.runtime import Segmenter
    from rapidseg.runtime.model_file import ASSETS, BUILT_IN_MODELS
    from rapidseg.workflows.load import load

    if not isinstance(model, Segmenter):
        segmenter = load(model, engine=engine, precision=precision, device=device, download=download, progress=progress)
        return segmenter, BUILT_IN_MODELS[0] if model is None else os.fspath(model)
    if (engine, precision, device) != ("auto", "auto", "auto"):
        raise InputError(
            "engine, precision and device are chosen when a model is loaded; pass them to rapidseg.load, or pass the "
            "model's name or file to evaluate"
        )
    if model.path is None:
        return model, model.spec.architecture
    return model, model.path.stem if model.path.parent == ASSETS else str(model.path)


def _call(name: str, settings: Mapping[str, Any]) -> str:
    """Returns the call that gives these scores again; settings that are None were not passed."""
    passed = {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in settings.items()}
    given = "".join(f", {key}={value!r}" for key, value in passed.items() if value is not None)
    return f"rapidseg.evaluate({name!r}{given})"
