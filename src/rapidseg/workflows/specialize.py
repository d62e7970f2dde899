"""What `export` does for a fixed input size or class maps as output: first the ordinary file, then one made of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidseg.core.choices import ExportPrecision, OutputKind
from rapidseg.core.errors import InputError
from rapidseg.core.extras import require_extra
from rapidseg.core.progress import Progress
from rapidseg.core.sizes import InputSizeLike, SizeLike, format_size, to_input_size, to_size, to_sizes
from rapidseg.workflows.sources import is_exported, output_path

if TYPE_CHECKING:
    from rapidseg.exporting import SpecializationReport
    from rapidseg.models import SegmentationModel


def specialize(
    model: str | os.PathLike[str] | SegmentationModel,
    output: str | os.PathLike[str] | None,
    *,
    static: SizeLike | None,
    output_kind: OutputKind,
    precision: ExportPrecision,
    data: str | os.PathLike[str] | None,
    input_size: InputSizeLike | None,
    check_sizes: Any,
    progress: Progress,
    others: Mapping[str, Any],
) -> SpecializationReport:
    """Writes a static file, or one that returns class maps.

    Args:
        model: what `export` takes; also an exported file in float32 or INT8, or the name of a built-in model.
        output: as for `export`; None: the model's name with what the file is for, such as `best-512x1024.onnx`.
        static, output_kind, precision, data, input_size, check_sizes, progress: as for `export`.
        others: the other arguments of `export`, passed on to it.

    Raises:
        ExportError, InputError, ModelFileError, RapidSegError: as for `export`.
    """
    static_size = None if static is None else to_size(static, "static")
    if static_size is not None:
        if check_sizes is not None:
            raise InputError("check_sizes has no effect on a static file, which runs at one size; omit it")
        if input_size is not None and to_input_size(input_size) != static_size:
            raise InputError(
                f"the network of a static file sees every image at {format_size(static_size)}, and not at {input_size};"
                " omit the input size"
            )
        input_size, check_sizes = static_size, static_size
    is_finished = is_exported(model) and not _is_to_be_quantized(model, precision)
    tags = [
        *(["int8"] if precision == "int8" and not is_finished else []),
        *([] if static_size is None else [format_size(static_size)]),
        *(["class-map"] if output_kind == "class-map" else []),
    ]
    path = output_path(model, output, ".onnx", tag="".join(f"-{tag}" for tag in tags))
    require_extra("export")
    from rapidseg.exporting import specialize_onnx
    from rapidseg.exporting.specialization import check_ordinary, check_static_size
    from rapidseg.exporting.verification import affordable_check_sizes
    from rapidseg.runtime.model_file import find_model
    from rapidseg.runtime.onnx_complexity import count_onnx_macs
    from rapidseg.workflows.export import export

    if static_size is not None:
        check_static_size(static_size)
    with tempfile.TemporaryDirectory(prefix="rapidseg-") as folder:
        made = None
        if is_finished:
            if data is not None:
                raise InputError(f"{model} is exported already, so data has no effect; omit --data (data= in Python)")
            source = find_model(model)  # type: ignore[arg-type]
            check_ordinary(source)
        else:
            source = Path(folder) / "source.onnx"
            made = export(
                model,
                source,
                precision=precision,
                data=data,
                input_size=input_size,
                check_sizes=check_sizes,
                progress=progress,
                **others,
            )
        if check_sizes is None:
            check_sizes = affordable_check_sizes(partial(count_onnx_macs, source))
        report = specialize_onnx(
            source,
            path,
            static_size=static_size,
            output=output_kind,
            check_sizes=to_sizes(check_sizes, "check_sizes"),
            progress=progress,
        )
    return replace(report, source=None if made is None else replace(made, path=path))  # type: ignore[arg-type]


def _is_to_be_quantized(model: object, precision: ExportPrecision) -> bool:
    """Tells whether an exported file is in float32 and wanted in INT8."""
    from rapidseg.runtime.model_file import find_model, read_spec

    return precision == "int8" and read_spec(find_model(model)).quantization is None  # type: ignore[arg-type]
