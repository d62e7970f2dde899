"""`quantize_onnx`: makes an INT8 file of a model file, rejected if accuracy drops by more than allowed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from rapidseg.core.errors import InputError
from rapidseg.core.files import atomic_path, check_output_file
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.sizes import InputSize, SizeHW
from rapidseg.core.spec import SPEC_KEY, ModelSpec, Quantization, Score
from rapidseg.core.wording import count_of
from rapidseg.data import Dataset
from rapidseg.evaluation.precision_agreement import agreement, open_in_openvino
from rapidseg.exporting.int8.calibration import quantize_graph
from rapidseg.exporting.int8.equalization import equalize_channels
from rapidseg.exporting.int8.fallback_layers import FallbackSearch, Int8Network
from rapidseg.exporting.int8.int8_scoring import Scorer
from rapidseg.exporting.int8.int8_verification import MARGIN, MAX_ERROR_RATIO, Int8Check, verify_quantized
from rapidseg.exporting.network_images import NetworkImages
from rapidseg.exporting.onnx_export import ExportedFile
from rapidseg.exporting.precisions import COMPARED_IMAGES, measure_precisions
from rapidseg.exporting.specialization import check_ordinary
from rapidseg.exporting.verification import CHECK_SIZES, validate_check_sizes
from rapidseg.runtime.content_check import write_checksum

MAX_DROP = 0.5  # points of mean IoU
CALIBRATION_IMAGES = 100
_RANKING_IMAGES = 4  # of those; the effect of a layer on the logits differs little between images of one kind


@dataclass(frozen=True)
class QuantizationReport(ExportedFile):
    """An INT8 file, the accuracy it costs, and the comparisons that it passed; `spec.quantization` has the figures.

    Attributes:
        float32_size_bytes: the size of the file that it was made from.
        num_layers: how many layers can be INT8.
        effects: for each fallback layer, how much it alone, in INT8, changes the logits (`Int8Network.effects`).
        trials: mean IoU by the number of fallback layers, for every number that was measured.
        checks: the comparisons of the file in each engine with the ONNX standard.
    """

    float32_size_bytes: int
    num_layers: int
    effects: Mapping[str, float]
    trials: Mapping[int, float]
    checks: tuple[Int8Check, ...]

    @property
    def quantization(self) -> Quantization:
        assert self.spec.quantization is not None
        return self.spec.quantization

    def headline(self) -> str:
        made = self.quantization
        return (
            f"{self.size_bytes / 1e6:.1f} MB, mIoU {made.mean_iou:.3f} ({made.mean_iou_float32:.3f} in float32) on "
            f"{made.dataset} {made.validation_split}; {count_of(made.fallback_layers, 'fallback layer')}; {self.path}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "file": str(self.path),
            "size_bytes": self.size_bytes,
            "float32_size_bytes": self.float32_size_bytes,
            "spec": self.spec.model_dump(mode="json"),
            "num_layers": self.num_layers,
            "effects": dict(self.effects),
            "trials": [{"fallback_layers": count, "mean_iou": mean_iou} for count, mean_iou in self.trials.items()],
            "allowed": {"error_ratio": MAX_ERROR_RATIO, "margin": MARGIN},
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
    input_size: InputSize | None = None,
    check_sizes: Sequence[SizeHW] = CHECK_SIZES,
    progress: Progress = SILENT,
) -> QuantizationReport:
    """Makes an INT8 file of a model file; rejected if mean IoU drops by more than `max_drop` points.

    NNCF calibrates the network on images prepared as for prediction. Mean IoU before and after is measured in OpenVINO,
    with layers that are not INT8 in float32. If the drop is too large, the layers are ranked by what each alone does to
    the logits, and the fewest of the most harmful stay in floating point. The file is written under a temporary name
    and run in ONNX Runtime and OpenVINO at several sizes; it takes its name if both compute what it says.

    Args:
        source: a model file that `export_onnx` wrote.
        path: the file to write; ends in `.onnx`.
        calibration: the images to calibrate on.
        validation: images and labels to measure mean IoU on. The model's classes must be those of the data, or a
            mapping between them must be known (`ClassMapping.between`).
        calibration_images: how many to use, evenly spaced over the data set.
        max_drop: points (hundredths) of mean IoU that may be lost.
        input_size: as for a call of `Segmenter`, for both data sets.
        check_sizes: heights and widths of the images to run both engines at. Heavy networks take minutes at the larger
            ones; `affordable_check_sizes` selects.
        progress: told about each step.

    Raises:
        ExportError: the drop is too large even with half of the layers in floating point, or an engine does not compute
            what the file says.
        InputError: an argument is not allowed, or the classes do not match.
        ModelFileError: `source` is not a model file.
        RapidSegError: the file cannot be written.
    """
    source = Path(source)
    path = check_output_file(path, (".onnx",))
    spec = check_ordinary(source)
    _check_arguments(source, path, spec, calibration_images, max_drop)
    validate_check_sizes(check_sizes)
    calibrated = NetworkImages(spec, calibration, input_size).evenly_spaced(calibration_images)
    scored = NetworkImages(spec, validation, input_size)
    scorer = Scorer(scored, progress)
    before = scorer(source, "mean IoU in float32")
    network = _quantize(source, calibrated, scorer, before, max_drop, progress)
    with atomic_path(path) as temporary:
        onnx.save(network.graph, temporary)
        spec = _measure(temporary, source, network, before, calibrated, scored, progress)
        helper.set_model_props(network.graph, {SPEC_KEY: spec.to_json()})
        onnx.checker.check_model(network.graph, full_check=True)
        onnx.save(network.graph, temporary)
        write_checksum(temporary)
        checks = verify_quantized(temporary, source, spec, sizes=check_sizes, progress=progress)
        size_bytes = temporary.stat().st_size
    return QuantizationReport(
        path=path,
        size_bytes=size_bytes,
        float32_size_bytes=source.stat().st_size,
        spec=spec,
        num_layers=network.num_layers,
        effects=network.effects,
        trials=network.trials,
        checks=checks,
    )


def _quantize(
    source: Path, images: NetworkImages, scorer: Scorer, before: Score, max_drop: float, progress: Progress
) -> Int8Network:
    """Equalizes and calibrates the network, then finds its fallback layers."""
    network = equalize_channels(onnx.load(source), images)
    quantized = quantize_graph(network, images, progress=progress)
    with tempfile.TemporaryDirectory(prefix="rapidseg-") as folder:
        ranked_on = images.evenly_spaced(_RANKING_IMAGES)
        search = FallbackSearch(quantized, network, scorer, ranked_on, Path(folder) / "trial.onnx", progress)
        return search.run(before, max_drop)


def _measure(
    path: Path,
    source: Path,
    network: Int8Network,
    before: Score,
    calibrated: NetworkImages,
    scored: NetworkImages,
    progress: Progress,
) -> ModelSpec:
    """Returns the specification of the INT8 file at `path`, with all that is measured of it."""
    spec, input_size = scored.spec, scored.input_size
    images = scored.evenly_spaced(COMPARED_IMAGES).full_size()
    same = agreement(
        open_in_openvino(source, spec, "float32"),
        {"int8": open_in_openvino(path, spec, "float32")},
        images,
        input_size=input_size,
        task="comparing with float32",
        progress=progress,
    )
    precisions = measure_precisions(path, spec, images, is_int8=True, input_size=input_size, progress=progress)
    quantization = Quantization(
        dataset=calibrated.dataset.name,
        calibration_split=calibrated.dataset.split,
        calibration_images=len(calibrated),
        validation_split=scored.dataset.split,
        input_size=input_size,
        mean_iou_float32=before.mean_iou,
        mean_iou=network.score.mean_iou,
        agreement=same["int8"],
        fallback_layers=tuple(network.effects),
    )
    return spec.model_copy(update={"quantization": quantization, "precisions": precisions, "scores": (network.score,)})


def _check_arguments(source: Path, path: Path, spec: ModelSpec, calibration_images: int, max_drop: float) -> None:
    if spec.quantization is not None:
        raise InputError(f"{source} is already an INT8 file; pass the float32 file that it was made from")
    if path.resolve() == source.resolve():
        raise InputError(f"{path} is the float32 file itself; pass another name for the INT8 file")
    if calibration_images < 1:
        raise InputError(f"{calibration_images} calibration images are too few; pass 1 or more, such as 100")
    if not 0 <= max_drop <= 100:
        raise InputError(f"max_drop is {max_drop}; pass points of mean IoU from 0 to 100, such as {MAX_DROP}")
