"""`specialize_onnx`: makes a file for other programs of a model file: with a fixed input size, class maps, or both."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnx import helper

from rapidseg.core.choices import OutputKind
from rapidseg.core.errors import InputError, ModelFileError, RapidSegError
from rapidseg.core.files import atomic_path, check_output_file
from rapidseg.core.printable import one_line
from rapidseg.core.progress import SILENT, Progress
from rapidseg.core.sizes import SizeHW, format_size
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.core.wording import count_of
from rapidseg.exporting.class_map_output import add_class_map
from rapidseg.exporting.onnx_export import ExportedFile, ExportReport
from rapidseg.exporting.specialized_verification import verify_specialized
from rapidseg.exporting.static_graph import make_static
from rapidseg.exporting.verification import MAX_RELATIVE_ERROR, MIN_MATCHING_PIXELS, Check, validate_check_sizes
from rapidseg.imaging import MINIMUM_SIDE
from rapidseg.runtime.content_check import write_checksum
from rapidseg.runtime.engines.engine import check_names
from rapidseg.runtime.model_file import read_spec

if TYPE_CHECKING:
    from rapidseg.exporting.int8.quantization import QuantizationReport

MAX_STATIC_PIXELS = 1 << 25  # 8K video; Fast-SCNN takes about 6 GB of memory for it
MAX_CLASS_MAP_VALUES = 1 << 30  # logits at the size of the image, which other programs build: 4.3 GB


@dataclass(frozen=True)
class SpecializationReport(ExportedFile):
    """A static file, or one that returns class maps, and its comparisons with the model file that it was made of.

    Attributes:
        checks: the comparisons of the new file with that model file, in each program. All passed, except perhaps those
            in OpenCV.
        source: how that model file was made and verified; None if it existed.
        warnings: what a person must be told, such as that OpenCV does not compute the file right.
    """

    checks: tuple[Check, ...]
    source: ExportReport | QuantizationReport | None = None
    warnings: tuple[str, ...] = ()

    def headline(self) -> str:
        size = f"{format_size(self.spec.static_size)} only, " if self.spec.static_size else ""
        passed = sum(check.passed for check in self.checks)
        return (
            f"{self.spec.architecture}, {size}{self.spec.output}, {self.size_bytes / 1e6:.1f} MB; {passed} of "
            f"{count_of(self.checks, 'check')} passed; {self.path}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        source = None if self.source is None else self.source.to_dict()
        if source is not None:
            del source["file"]  # it is not kept
        return {
            "file": str(self.path),
            "size_bytes": self.size_bytes,
            "spec": self.spec.model_dump(mode="json"),
            "allowed": {"relative_error": MAX_RELATIVE_ERROR, "agreement": MIN_MATCHING_PIXELS},
            "checks": [asdict(check) for check in self.checks],
            "warnings": list(self.warnings),
            "source": source,
        }


def check_static_size(size_hw: SizeHW) -> SizeHW:
    """Returns a static size, checked.

    Raises:
        InputError: a side is too small for a network, or the image too large.
    """
    if min(size_hw) < MINIMUM_SIDE or size_hw[0] * size_hw[1] > MAX_STATIC_PIXELS:
        raise InputError(
            f"static size {format_size(size_hw)} is not allowed; pass (height, width), each {MINIMUM_SIDE} pixels or "
            f"more, and at most {MAX_STATIC_PIXELS / 1e6:.0f} million pixels in all, such as 512x1024"
        )
    return size_hw


def specialize_onnx(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    static_size: SizeHW | None = None,
    output: OutputKind = "logits",
    check_sizes: Sequence[SizeHW] = (),
    progress: Progress = SILENT,
) -> SpecializationReport:
    """Makes a file for other programs of a model file, in float32 or INT8.

    The file is run in every installed program and compared with `source` in the same program. It takes its name only if
    all match; otherwise no file is left behind, and an older file of that name stays. OpenCV, for static files, is
    compared with OpenVINO, and a difference is a warning: other programs still run the file.

    Args:
        source: a model file that `export_onnx` or `quantize_onnx` wrote.
        path: the file to write; ends in `.onnx`.
        static_size: (height, width) of the only image that the file takes, one at a time. None: any size and batch.
        output: what the file returns; "class-map": `class_map`, (batch, height, width) uint8 in place of `logits`.
        check_sizes: heights and widths of the images to compare at, if the size is not static.
        progress: told after each comparison.

    Raises:
        ExportError: the outputs of the file do not match those of `source`, or an engine cannot run it.
        InputError: an argument is not allowed, or `source` is a static file or returns class maps.
        ModelFileError: `source` is not a model file, or is damaged.
        RapidSegError: the file cannot be written.
    """
    source = Path(source)
    path = check_output_file(path, (".onnx",))
    source_spec = check_ordinary(source)
    if static_size is None:
        validate_check_sizes(check_sizes)
    else:
        check_sizes = [check_static_size(static_size)]
    if path.resolve() == source.resolve():
        raise InputError(f"{path} is the model file itself; pass another name for the new file")
    spec = source_spec.model_copy(update={"static_size": static_size, "output": output})
    graph = _build(source, spec)
    with atomic_path(path) as temporary:
        onnx.save(graph, temporary)
        write_checksum(temporary)
        checks, warnings = verify_specialized(temporary, spec, source, sizes=check_sizes, progress=progress)
        size_bytes = temporary.stat().st_size
    return SpecializationReport(path=path, size_bytes=size_bytes, spec=spec, checks=checks, warnings=warnings)


def _build(source: Path, spec: ModelSpec) -> onnx.ModelProto:
    """Returns the graph of the new file.

    Raises:
        ExportError: a size depends on the pixels of the image.
        InputError: class maps would take too much memory.
        ModelFileError: the onnx package cannot read `source`, or its graph is not that of a model file.
    """
    size_hw = spec.static_size
    if size_hw is not None and spec.output == "class-map":
        num_classes = spec.labels.num_classes
        values = math.prod(size_hw) * num_classes
        if values > MAX_CLASS_MAP_VALUES:
            raise InputError(
                f"class maps of {format_size(size_hw)} with {num_classes} classes take {4 * values / 1e9:.0f} GB in "
                f"other programs, and {4 * MAX_CLASS_MAP_VALUES / 1e9:.0f} GB are allowed; pass a smaller static size, "
                "or export logits"
            )
    try:
        graph = onnx.load(source)
        onnx.checker.check_model(graph, full_check=True)
        check_names(source, [port.name for port in graph.graph.input], [port.name for port in graph.graph.output])
        if spec.output == "class-map":
            graph = add_class_map(graph, spec)
        if size_hw is not None:
            graph = make_static(graph, size_hw)
    except RapidSegError:
        raise
    except Exception as error:  # the exceptions of onnx and protocol buffers have no public base
        reason = one_line(error, 300) or type(error).__name__
        raise ModelFileError(f"{source}: the onnx package cannot use it ({reason}); export the model again") from error
    helper.set_model_props(graph, {SPEC_KEY: spec.to_json()})
    return graph


def check_ordinary(path: Path) -> ModelSpec:
    """Returns the specification of a model file that other files can be made of.

    Raises:
        InputError: it is static, or returns class maps.
        ModelFileError: it is not a model file.
    """
    spec = read_spec(path)
    if spec.static_size is not None or spec.output != "logits":
        what = "returns class maps" if spec.output != "logits" else f"takes {format_size(spec.static_size or ())} only"
        raise InputError(f"{path} {what}; pass the model that it was exported from")
    return spec
