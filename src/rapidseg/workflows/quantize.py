"""`quantize`: an exported file or a checkpoint to an INT8 file, rejected if accuracy drops by too much."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidseg.core.arguments import optional
from rapidseg.core.errors import InputError
from rapidseg.core.extras import require_extra
from rapidseg.core.progress import DOWNLOADS, Progress
from rapidseg.core.sizes import InputSizeLike, SizeLike, to_input_size, to_sizes
from rapidseg.workflows.arguments import RULES, checked, model_or_network
from rapidseg.workflows.sources import is_exported, load_network, output_path

if TYPE_CHECKING:
    from rapidseg.exporting import QuantizationReport
    from rapidseg.importing import LabelsLike
    from rapidseg.models import SegmentationModel


@checked(
    *("output", "root", "split", "val_split", "calibration_images", "max_drop", "input_size", "check_sizes"),
    *("labels", "options", "progress"),
    model=model_or_network,
    data=optional(RULES["data"]),
)
def quantize(
    model: str | os.PathLike[str] | SegmentationModel,
    output: str | os.PathLike[str] | None = None,
    *,
    data: str | os.PathLike[str] | None,
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
) -> QuantizationReport:
    """Makes an INT8 file; rejected if mean IoU drops by more than `max_drop` points.

    A checkpoint is exported in float32 first, and verified. The network is calibrated on images, and mean IoU is
    measured before and after. The layers that cost most stay in floating point until no more than `max_drop` is lost.

    Args:
        model: an exported .onnx in float32 or the name of a built-in model; or all that `export` takes.
        output: the file to write, ending in .onnx. None: beside the model, as `NAME-int8.onnx`.
        data: a data set's name or YAML file.
        root: the data set's folder.
        split: the split to calibrate on.
        val_split: the split to measure mean IoU on, with labels.
        calibration_images: how many images to calibrate on, evenly spaced over the split.
        max_drop: points (hundredths) of mean IoU that may be lost.
        input_size: at which size the network sees the images, as for a call of `Segmenter`.
        check_sizes: heights and widths of the images to run both engines at. None: up to 1024x2048, those that the
            network computes in seconds.
        labels: of a published checkpoint, as for `import_checkpoint`.
        options: of a published checkpoint, as for `import_checkpoint`.
        progress: told about each step.

    Raises:
        ExportError: accuracy drops by too much even with half of the layers in floating point, or an engine does not
            compute what the file says.
        InputError: an argument is not allowed, or the classes of model and data do not match.
        ModelFileError: the model cannot be read.
    """
    if data is None:
        raise InputError(
            "INT8 is calibrated on images, and its mIoU is measured with their labels: pass --data (data= "
            "in Python), such as --data camvid --root FOLDER, or a YAML file that describes your own (docs/data.md)"
        )
    path = output_path(model, output, ".onnx", tag="-int8")
    require_extra("quantize")
    input_size = None if input_size is None else to_input_size(input_size)
    sizes = None if check_sizes is None else to_sizes(check_sizes, "check_sizes")
    from rapidseg.data import open_dataset
    from rapidseg.exporting import export_onnx, quantize_onnx
    from rapidseg.exporting.specialization import check_ordinary
    from rapidseg.exporting.verification import affordable_check_sizes
    from rapidseg.runtime.model_file import find_model
    from rapidseg.runtime.onnx_complexity import count_onnx_macs

    calibration, validation = open_dataset(data, root, split), open_dataset(data, root, val_split)
    with tempfile.TemporaryDirectory(prefix="rapidseg-") as folder:
        if isinstance(model, (str, os.PathLike)) and is_exported(model):
            source = find_model(model)
            check_ordinary(source)
        else:
            network = load_network(model, labels=labels, options=options, progress=progress)
            source = Path(folder) / "float32.onnx"
            export_onnx(network, network.spec, source, check_sizes=sizes, images=(), progress=progress)
        if sizes is None:
            sizes = affordable_check_sizes(partial(count_onnx_macs, source))
        return quantize_onnx(
            source,
            path,
            calibration,
            validation,
            calibration_images=calibration_images,
            max_drop=max_drop,
            input_size=input_size,
            check_sizes=sizes,
            progress=progress,
        )
