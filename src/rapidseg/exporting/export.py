"""`export_onnx`: a model in PyTorch to one file that runs anywhere, proved before it takes its name."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from rapidseg.core.errors import InputError
from rapidseg.core.files import atomic_path
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.exporting.graph import build_graph
from rapidseg.exporting.precisions import measure_precisions
from rapidseg.exporting.verification import (
    EXPORT_MIN_AGREEMENT,
    MAX_RELATIVE_ERROR,
    Check,
    affordable_check_sizes,
    verify,
)
from rapidseg.imaging import MINIMUM_SIDE
from rapidseg.models import SegmentationModel
from rapidseg.models.weights import weights_checksum


@dataclass(frozen=True)
class ExportReport:
    """What was written, and what was compared before.

    Attributes:
        path: the file.
        size_bytes: its size.
        spec: the specification in it, with the checksum of the weights.
        checks: the comparisons with the model in PyTorch; all of them passed.
    """

    path: Path
    size_bytes: int
    spec: ModelSpec
    checks: tuple[Check, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "file": str(self.path),
            "size_bytes": self.size_bytes,
            "spec": self.spec.model_dump(mode="json"),
            "allowed": {"relative_error": MAX_RELATIVE_ERROR, "agreement": EXPORT_MIN_AGREEMENT},
            "checks": [asdict(check) for check in self.checks],
        }


def export_onnx(
    model: SegmentationModel,
    spec: ModelSpec,
    path: str | os.PathLike[str],
    *,
    check_sizes: Sequence[tuple[int, int]] | None = None,
    images: Sequence[np.ndarray] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Writes a model as one ONNX file with a dynamic batch, height and width.

    The file takes bytes of RGB images and gives logits; normalization and the specification are inside
    (docs/export.md). It is written under a temporary name, run in ONNX Runtime and in OpenVINO at several sizes with
    one image and with three, and compared with the model in PyTorch. Only when all agree does it take its name;
    otherwise nothing is left behind and an older file of that name stays. The share of pixels that keep their class in
    fp16, and where this CPU computes in it in bf16, is measured and written into the file: `load` goes by it.

    Args:
        model: any device and number type; it is not changed.
        spec: what the file says about itself, usually `model.spec`. The checksum of the weights is filled in.
        path: where to write; ends in `.onnx`.
        check_sizes: heights and widths of the images to compare at; None takes those of `CHECK_SIZES` at which the
            network's work is bearable.
        images: (H, W, 3) uint8 RGB, such as the model is made for, to measure fp16 and bf16 on; None takes drawn street
            scenes (`street_scenes`), and an empty sequence measures nothing.
        progress: called after each comparison with the number done and of all.

    Raises:
        ExportError: the model cannot be traced, or the file does not compute what the model computes.
        InputError: `path` does not end in `.onnx`, a check size is too small, or `spec` names another number of
            classes.
        RapidSegError: the file cannot be written.
    """
    path = Path(path)
    check_output(path)
    if check_sizes is None:
        check_sizes = affordable_check_sizes(model)
    if not check_sizes or min(min(size_hw) for size_hw in check_sizes) < MINIMUM_SIDE:
        raise InputError(
            f"check_sizes is {check_sizes}; give at least one size, with sides of {MINIMUM_SIDE} pixels or more"
        )
    spec = spec.model_copy(update={"checksum": weights_checksum(model.state_dict())})
    reference = copy.deepcopy(model).cpu().float().eval()
    with atomic_path(path) as temporary:
        graph = build_graph(reference, spec)
        onnx.save(graph, temporary)
        checks = verify(temporary, reference, spec, sizes=check_sizes, progress=progress)
        spec = spec.model_copy(update={"precisions": measure_precisions(temporary, spec, images)})
        helper.set_model_props(graph, {SPEC_KEY: spec.to_json()})
        onnx.save(graph, temporary)
        size_bytes = temporary.stat().st_size
    return ExportReport(path=path, size_bytes=size_bytes, spec=spec, checks=checks)


def check_output(path: Path) -> None:
    """Raises `InputError` unless a model file can have this name."""
    if path.suffix != ".onnx":
        raise InputError(
            f"{path}: the name of an exported file ends in .onnx; call it {path.with_suffix('.onnx').name}"
        )
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
