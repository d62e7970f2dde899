"""`quantize_onnx`: a model file to one in INT8 that loses no more accuracy than is allowed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from rapidseg.core.errors import ExportError, InputError
from rapidseg.core.files import atomic_path
from rapidseg.core.spec import SPEC_KEY, ModelSpec, Quantization, Score
from rapidseg.data import Dataset, Sample
from rapidseg.exporting.export import check_output
from rapidseg.exporting.int8.checks import (
    MARGIN,
    MAX_TIMES_FURTHER,
    Int8Check,
    affordable_check_sizes,
    verify_quantized,
)
from rapidseg.exporting.int8.equalization import equalize_channels
from rapidseg.exporting.int8.fallback_layers import LayersToKeep, min_fallback_layers
from rapidseg.exporting.int8.int8_graph import quantize_graph
from rapidseg.exporting.int8.scoring import Progress, Scorer
from rapidseg.exporting.precisions import (
    COMPARED_IMAGES,
    WorkingSize,
    agreement,
    evenly_spaced,
    measure_precisions,
    open_in_openvino,
    prepare,
)
from rapidseg.runtime.model_file import read_spec

MAX_DROP = 0.5  # points of mean IoU
CALIBRATION_IMAGES = 100
_RANKING_IMAGES = 4  # of those; what a layer does to the logits differs little between images of one kind


@dataclass(frozen=True)
class QuantizationReport:
    """What was written, what it cost, and what was compared before.

    Attributes:
        path: the INT8 file.
        size_bytes, float32_size_bytes: its size, and that of the file that it was made from.
        spec: the specification in it; `spec.quantization` has the figures.
        num_layers: how many layers could be INT8.
        effects: for each kept layer, what it alone does to the logits in INT8 (`effects_of_layers`).
        tried: mean IoU by the number of layers that were kept.
        checks: the comparisons of the file in each engine with what it says; all of them passed.
    """

    path: Path
    size_bytes: int
    float32_size_bytes: int
    spec: ModelSpec
    num_layers: int
    effects: Mapping[str, float]
    tried: Mapping[int, float]
    checks: tuple[Int8Check, ...]

    @property
    def quantization(self) -> Quantization:
        assert self.spec.quantization is not None
        return self.spec.quantization

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "file": str(self.path),
            "size_bytes": self.size_bytes,
            "float32_size_bytes": self.float32_size_bytes,
            "spec": self.spec.model_dump(mode="json"),
            "num_layers": self.num_layers,
            "effects": dict(self.effects),
            "tried": [{"kept": kept, "mean_iou": mean_iou} for kept, mean_iou in self.tried.items()],
            "allowed": {"error_ratio": MAX_TIMES_FURTHER, "margin": MARGIN},
            "checks": [asdict(check) for check in self.checks],
        }


def quantize_onnx(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    calibration: Dataset,
    validation: Dataset,
    *,
    calibration_images: int = CALIBRATION_IMAGES,
    max_drop: float = MAX_DROP,
    input_size: WorkingSize = None,
    check_sizes: Sequence[tuple[int, int]] | None = None,
    progress: Progress | None = None,
) -> QuantizationReport:
    """Writes a model file in INT8 that loses at most `max_drop` points of mean IoU.

    NNCF calibrates it on images that are prepared as for prediction. Mean IoU before and after is measured in OpenVINO
    with what is not INT8 in float32. Where more is lost than is allowed, the layers are ranked by what each alone does
    to the logits, and as few of the worst as are enough stay in floating point. The file is written under a temporary
    name and run in ONNX Runtime and OpenVINO at several sizes; it takes its name when both compute what it says.

    Args:
        source: a model file that `export_onnx` wrote.
        path: where to write; ends in `.onnx`.
        calibration: gives the images to calibrate on.
        validation: gives images and labels to measure mean IoU on; the model's classes must be theirs, or known to
            count as theirs (`class_mapping_between`).
        calibration_images: how many to take, spread over the data set.
        max_drop: points (hundredths) of mean IoU that may be lost.
        input_size: as for a call of `Segmenter`, for both.
        check_sizes: heights and widths of the images to run both engines at; None takes those that `export_onnx` tries
            at which the network's work is bearable.
        progress: called as the work goes on.

    Raises:
        ExportError: more is lost even with half of the layers kept, or an engine does not compute what the file says.
        InputError: an argument is not what is allowed, or the classes do not fit.
        ModelFileError: `source` is no model file.
        RapidSegError: the file cannot be written.
    """
    source, path = Path(source), Path(path)
    spec = read_spec(source)
    _check_arguments(source, path, spec, calibration_images, max_drop)
    tell = progress or _tell_nobody
    scorer = Scorer(spec, validation, input_size, tell)
    samples = evenly_spaced(calibration, calibration_images)

    def as_seen(sample: Sample) -> np.ndarray:
        return prepare(sample.image, spec, input_size)[None]

    before = scorer(source, "mean IoU in float32")
    network = equalize_channels(onnx.load(source), map(as_seen, samples))
    passes = 2 * len(samples)  # one for the ranges, one to correct biases
    quantized = quantize_graph(
        network, spec, samples, as_seen, progress=lambda done: tell("calibrating", min(done, passes), passes)
    )
    with tempfile.TemporaryDirectory(prefix="rapidseg-") as folder:
        images = [as_seen(sample) for sample in evenly_spaced(samples, _RANKING_IMAGES)]
        search = LayersToKeep(quantized, network, spec, scorer, images, Path(folder) / "trial.onnx", tell)
        count = min_fallback_layers(len(search.layers), search.mean_iou, before.mean_iou - max_drop / 100)
        if count is None:
            raise _lost_too_much(before, search, max_drop)
    graph, kept, after = search.graph(count), search.worst(count), search.tried[count]
    with atomic_path(path) as temporary:
        onnx.save(graph, temporary)
        compared = [sample.image for sample in evenly_spaced(validation, COMPARED_IMAGES)]
        opened = {"int8": open_in_openvino(temporary, spec, "float32")}
        same = agreement(
            open_in_openvino(source, spec, "float32"),
            opened,
            compared,
            input_size=input_size,
            progress=lambda *at: tell("comparing with float32", *at),
        )
        precisions = measure_precisions(
            temporary,
            spec,
            compared,
            is_int8=True,
            input_size=input_size,
            progress=lambda *at: tell("comparing bf16 for the rest", *at),
        )
        quantization = Quantization(
            dataset=calibration.name,
            calibration_split=calibration.split,
            calibration_images=len(samples),
            validation_split=validation.split,
            input_size=input_size,
            mean_iou_float32=before.mean_iou,
            mean_iou=after.mean_iou,
            agreement=same["int8"],
            kept=tuple(kept),
        )
        spec = spec.model_copy(update={"quantization": quantization, "precisions": precisions, "scores": (after,)})
        helper.set_model_props(graph, {SPEC_KEY: spec.to_json()})
        onnx.checker.check_model(graph, full_check=True)
        onnx.save(graph, temporary)
        checks = verify_quantized(
            temporary,
            source,
            spec,
            sizes=check_sizes or affordable_check_sizes(temporary),
            progress=lambda *at: tell("running both engines", *at),
        )
        size_bytes = temporary.stat().st_size
    return QuantizationReport(
        path=path,
        size_bytes=size_bytes,
        float32_size_bytes=source.stat().st_size,
        spec=spec,
        num_layers=len(search.layers),
        effects={name: search.effects[name] for name in kept},
        tried={number: score.mean_iou for number, score in search.tried.items()},
        checks=checks,
    )


def _check_arguments(source: Path, path: Path, spec: ModelSpec, calibration_images: int, max_drop: float) -> None:
    if spec.quantization is not None:
        raise InputError(f"{source} is an INT8 file already; give the float32 file that it was made from")
    check_output(path)
    if path.resolve() == source.resolve():
        raise InputError(f"{path} is the float32 file itself; give the INT8 file another name")
    if calibration_images < 1:
        raise InputError(f"{calibration_images} calibration images are too few; give 1 or more, such as 100")
    if not 0 <= max_drop <= 100:
        raise InputError(f"max_drop is {max_drop}; give points of mean IoU from 0 to 100, such as {MAX_DROP}")


def _lost_too_much(before: Score, search: LayersToKeep, max_drop: float) -> ExportError:
    losses = [
        f"{100 * (before.mean_iou - score.mean_iou):.2f} points with {count} of {len(search.layers)} layers kept"
        for count, score in search.tried.items()
    ]
    return ExportError(
        f"INT8 loses more than {max_drop} points of the mean IoU of {before.mean_iou:.4f} on {before.dataset} "
        f"{before.split}: {' and '.join(losses)}. No file was written; allow more (--max-drop), calibrate on more or "
        "other images, or stay with the float32 file, which bf16 makes faster too"
    )


def _tell_nobody(what: str, done: int, total: int) -> None:
    pass
