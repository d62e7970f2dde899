"""`export`: a checkpoint to one file that runs anywhere, in float32 or in INT8."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from rapidseg.core.choices import ExportPrecision, OutputKind
from rapidseg.core.errors import InputError, nearest_hint
from rapidseg.core.extras import require_extra
from rapidseg.core.progress import DOWNLOADS, Progress
from rapidseg.core.sizes import InputSizeLike, SizeLike, to_input_size, to_sizes
from rapidseg.workflows.arguments import checked, model_or_network
from rapidseg.workflows.sources import is_exported, load_network, output_path

if TYPE_CHECKING:
    from rapidseg.exporting import ExportReport, QuantizationReport, SpecializationReport
    from rapidseg.importing import LabelsLike
    from rapidseg.models import SegmentationModel

_PRECISIONS, _OUTPUT_KINDS = get_args(ExportPrecision), get_args(OutputKind)


@checked(
    *("output", "root", "split", "val_split", "calibration_images", "max_drop", "input_size", "check_sizes"),
    *("labels", "options", "progress", "precision", "data", "static", "output_kind"),
    model=model_or_network,
)
def export(
    model: str | os.PathLike[str] | SegmentationModel,
    output: str | os.PathLike[str] | None = None,
    *,
    precision: ExportPrecision = "float32",
    static: SizeLike | None = None,
    output_kind: OutputKind = "logits",
    data: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    val_split: str = "val",
    calibration_images: int = 100,
    max_drop: float = 0.5,
    input_size: InputSizeLike | None = None,
    check_sizes: SizeLike | Sequence[SizeLike] | None = None,
    labels: LabelsLike | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress = DOWNLOADS,
) -> ExportReport | QuantizationReport | SpecializationReport:
    """Writes a checkpoint as one ONNX file and verifies that its outputs match PyTorch.

    The file is run at several sizes in every engine that is installed. It takes its name only if all match; otherwise
    an older file of that name stays.

    With `precision="int8"` this is `quantize`, which needs `data`.

    With `static` or `output_kind`, a file for other programs is made of the verified file and compared with it in every
    program that is installed; for static files, also in OpenCV.

    Args:
        model: a checkpoint (a file, a URL, or the name of a published model), or a model in PyTorch. For INT8, `static`
            and `output_kind` also an exported .onnx, or the name of a built-in model.
        output: the file to write, ending in .onnx. None: beside the checkpoint, under its name; for a URL or a name, in
            the current folder.
        precision: "float32" or "int8".
        static: (height, width) in pixels, also as text such as "512x1024", of the only images that the file takes, one
            at a time: for programs that plan a network before its first image, such as OpenCV. None: any size and
            batch.
        output_kind: what the file returns: "logits"; or "class-map", uint8 class ids at the size of the image, for
            programs other than RapidSeg.
        data: a data set's name or YAML file. For float32: to measure on it how many pixels keep their class in bf16 and
            fp16; without it, that is measured on drawn street scenes. For INT8, see `quantize`.
        root: the data set's folder.
        split: for INT8, see `quantize`.
        val_split: the split to measure on.
        calibration_images: for INT8, see `quantize`.
        max_drop: for INT8, see `quantize`.
        input_size: at which size the network sees the images of `data`, as for a call of `Segmenter`; with `static`,
            that size.
        check_sizes: heights and widths of the images to compare at, also as text such as "512x1024,97x161". None: up to
            1024x2048, those that the network computes in seconds. Not with `static`.
        labels: of a published checkpoint, as for `import_checkpoint`.
        options: of a published checkpoint, as for `import_checkpoint`.
        progress: told about each step.

    Raises:
        ExportError: the model cannot be traced, or outputs do not match; for INT8, accuracy drops by too much.
        InputError: an argument is not allowed.
        ModelFileError: the checkpoint cannot be read.
    """
    if precision not in _PRECISIONS:
        raise InputError(
            f"precision {precision!r} is unknown; allowed are {', '.join(_PRECISIONS)}"
            f"{nearest_hint(precision, _PRECISIONS)}"
        )
    if output in _OUTPUT_KINDS:
        raise InputError(f"output is the file to write; pass output_kind={output!r} for what the file returns")
    if output_kind not in _OUTPUT_KINDS:
        raise InputError(
            f"output_kind {output_kind!r} is unknown; allowed are {', '.join(_OUTPUT_KINDS)}"
            f"{nearest_hint(output_kind, _OUTPUT_KINDS)}"
        )
    if static is not None or output_kind != "logits":
        from rapidseg.workflows.specialize import specialize

        return specialize(
            model,
            output,
            static=static,
            output_kind=output_kind,
            precision=precision,
            data=data,
            input_size=input_size,
            check_sizes=check_sizes,
            progress=progress,
            others={
                "root": root,
                "split": split,
                "val_split": val_split,
                "calibration_images": calibration_images,
                "max_drop": max_drop,
                "labels": labels,
                "options": options,
            },
        )
    if precision == "int8":
        from rapidseg.workflows.quantize import quantize

        return quantize(
            model,
            output,
            data=data,
            root=root,
            split=split,
            val_split=val_split,
            calibration_images=calibration_images,
            max_drop=max_drop,
            input_size=input_size,
            check_sizes=check_sizes,
            labels=labels,
            options=options,
            progress=progress,
        )
    if is_exported(model):
        raise InputError(f"{model} is already an exported file; pass the checkpoint that it was made from")
    path = output_path(model, output, ".onnx")
    input_size = None if input_size is None else to_input_size(input_size)
    images = None
    if data is not None:
        from rapidseg.data import open_dataset
        from rapidseg.exporting.network_images import evenly_spaced
        from rapidseg.exporting.precisions import COMPARED_IMAGES

        dataset = open_dataset(data, root, val_split)
        images = [sample.image for sample in evenly_spaced(dataset, COMPARED_IMAGES)]
    require_extra("export")
    from rapidseg.exporting import export_onnx

    network = load_network(model, labels=labels, options=options, progress=progress)
    return export_onnx(
        network,
        network.spec,
        path,
        check_sizes=None if check_sizes is None else to_sizes(check_sizes, "check_sizes"),
        images=images,
        input_size=input_size,
        progress=progress,
    )
