"""`export_onnx`: writes a PyTorch model as one file that runs anywhere, once its outputs match PyTorch."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from rapidseg.core.files import atomic_path, check_output_file
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.report import Report
from rapidseg.core.sizes import InputSize, SizeHW
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.core.wording import count_of
from rapidseg.exporting.onnx_graph import build_graph
from rapidseg.exporting.precisions import measure_precisions
from rapidseg.exporting.verification import (
    MAX_RELATIVE_ERROR,
    MIN_MATCHING_PIXELS,
    Check,
    affordable_check_sizes,
    validate_check_sizes,
    verify,
)
from rapidseg.models import SegmentationModel, count_macs
from rapidseg.models.weights_file import weights_checksum
from rapidseg.runtime.content_check import write_checksum
from rapidseg.runtime.engines import AUTO_PRECISION_MIN_AGREEMENT


@dataclass(frozen=True)
class ExportedFile(Report):
    """A model file that was written; what `ExportReport` and `QuantizationReport` share.

    Attributes:
        path: the file.
        size_bytes: its size.
        spec: the specification in it.
    """

    path: Path
    size_bytes: int
    spec: ModelSpec

    @property
    def precision_threshold(self) -> float:
        """Share of pixels that must keep their class for bf16 or fp16 (`spec.precisions`) to be the default."""
        return AUTO_PRECISION_MIN_AGREEMENT


@dataclass(frozen=True)
class ExportReport(ExportedFile):
    """An exported file and the comparisons that it passed.

    Attributes:
        checks: the comparisons of each engine with the model in PyTorch.
    """

    checks: tuple[Check, ...]

    def headline(self) -> str:
        engines = ", ".join(dict.fromkeys(check.engine for check in self.checks))
        passed = f"; {count_of(self.checks, 'check')} passed in {engines}" if self.checks else ""
        return f"{self.spec.architecture}, {self.size_bytes / 1e6:.1f} MB{passed}; {self.path}"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "file": str(self.path),
            "size_bytes": self.size_bytes,
            "spec": self.spec.model_dump(mode="json"),
            "allowed": {"relative_error": MAX_RELATIVE_ERROR, "agreement": MIN_MATCHING_PIXELS},
            "checks": [asdict(check) for check in self.checks],
        }


def export_onnx(
    model: SegmentationModel,
    spec: ModelSpec,
    path: str | os.PathLike[str],
    *,
    check_sizes: Sequence[SizeHW] | None = None,
    images: Sequence[np.ndarray] | None = None,
    input_size: InputSize | None = None,
    progress: Progress = SILENT,
) -> ExportReport:
    """Writes a model as one ONNX file with a dynamic batch, height and width.

    The file takes the bytes of RGB images and returns logits; normalization and the specification are inside
    (docs/export.md). It is written under a temporary name, run in every installed engine at several sizes, with one
    image and with three, and compared with the model in PyTorch. Only if all match does it take its name. Otherwise
    no file is left behind, and an older file of that name stays.

    The share of pixels that keep their class in fp16, and in bf16 where this CPU computes in it, is measured and
    written into the file: `load` chooses the precision by it.

    Args:
        model: any device and dtype; it is not changed.
        spec: the specification to store, usually `model.spec`. The checksum of the weights is filled in.
        path: the file to write; ends in `.onnx`.
        check_sizes: heights and widths of the images to compare at; None: those of `CHECK_SIZES` that the network
            computes in seconds.
        images: (H, W, 3) uint8 RGB, of the kind the model is made for, to measure fp16 and bf16 on. None: drawn street
            scenes (`street_scenes`). An empty sequence: neither is measured.
        input_size: at which size the network sees `images`, as for a call of `Segmenter`.
        progress: told about each comparison.

    Raises:
        ExportError: the model cannot be traced, or the outputs of the file do not match PyTorch.
        InputError: `path` does not end in `.onnx`, a check size is too small, or `spec` names another number of
            classes.
        RapidSegError: the file cannot be written.
    """
    path = check_output_file(path, (".onnx",))
    if check_sizes is None:
        check_sizes = affordable_check_sizes(functools.partial(count_macs, model))
    validate_check_sizes(check_sizes)
    spec = spec.model_copy(update={"checksum": weights_checksum(model.state_dict())})
    reference = copy.deepcopy(model).cpu().float().eval()
    with atomic_path(path) as temporary:
        progress.update("tracing", 0, None)
        graph = build_graph(reference, spec)
        onnx.save(graph, temporary)
        checks = verify(temporary, reference, spec, sizes=check_sizes, progress=progress)
        precisions = measure_precisions(temporary, spec, images, input_size=input_size, progress=progress)
        spec = spec.model_copy(update={"precisions": precisions})
        helper.set_model_props(graph, {SPEC_KEY: spec.to_json()})
        onnx.save(graph, temporary)
        write_checksum(temporary)
        size_bytes = temporary.stat().st_size
    return ExportReport(path=path, size_bytes=size_bytes, spec=spec, checks=checks)
