"""Where a model comes from and where its new file goes: shared by `export`, `quantize` and `import_checkpoint`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidseg.checkpoints import read_checkpoint
from rapidseg.core.encoder_spec import ENCODER_KEY
from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.files import check_output_file
from rapidseg.core.progress import Progress, counter
from rapidseg.core.spec import SPEC_KEY
from rapidseg.runtime.model_file import read_spec

if TYPE_CHECKING:
    from rapidseg.importing import LabelsLike
    from rapidseg.models import SegmentationModel


def is_exported(model: object) -> bool:
    """Tells whether a model is an exported file, or the name of a built-in model, which is such a file."""
    from rapidseg.runtime.model_file import BUILT_IN_MODELS

    if not isinstance(model, (str, os.PathLike)):
        return False
    return Path(model).suffix.lower() == ".onnx" or os.fspath(model) in BUILT_IN_MODELS


def output_path(model: object, output: str | os.PathLike[str] | None, suffix: str, *, tag: str = "") -> Path:
    """Returns the file to write.

    Args:
        model: a file, a URL, a name, or a model in memory.
        output: what the user passed. None: the model's name with `tag` and `suffix`, beside its file; in the current
            folder where the model is not a file.
        suffix: how the file's name ends, such as `.onnx`.
        tag: what follows the model's name, such as `-int8`.

    Raises:
        InputError: `output` is a folder or has another suffix; or it is missing, and the model has no name; or the file
            would replace the model, or, under a name that nobody passed, a file that RapidSeg did not write.
        RapidSegError: the file cannot be written there.
    """
    if output is not None:
        return check_output_file(output, (suffix,), inputs=(model,))
    if not isinstance(model, (str, os.PathLike)):
        raise InputError(f"a model in memory has no name; pass output, a file name that ends in {suffix}")
    source, stem = _file_and_stem(os.fspath(model))
    if source.name in ("", ".."):
        what = "names no file" if "://" in os.fspath(model) else "is a folder"
        raise InputError(f"{os.fspath(model)} {what}; pass a file")
    path = check_output_file(source.with_name(f"{stem}{tag}{suffix}"), (suffix,), inputs=(model,))
    if path.exists() and not _is_own_file(path):
        raise InputError(
            f"{path} exists and was not written by RapidSeg; choose the name of the new file: --output FILE "
            "(output= in Python)"
        )
    return path


def _is_own_file(path: Path) -> bool:
    """Returns whether a file has a specification, which all that RapidSeg writes have."""
    try:
        if path.suffix.lower() == ".onnx":
            read_spec(path)
            return True
        return bool({SPEC_KEY, ENCODER_KEY} & read_checkpoint(path).metadata.keys())
    except RapidSegError:
        return False


def load_network(
    model: str | os.PathLike[str] | SegmentationModel,
    *,
    labels: LabelsLike | None,
    options: Mapping[str, Any] | None,
    progress: Progress,
) -> SegmentationModel:
    """Returns the model itself, or that of a checkpoint; URLs and published names are downloaded."""
    if not isinstance(model, (str, os.PathLike)):
        return model
    from rapidseg.importing import load_checkpoint

    def note(text: str) -> None:
        progress.message(f"note: {text}")

    downloading = counter(progress, "downloading", unit="bytes")
    return load_checkpoint(model, labels=labels, options=options, progress=downloading, note=note)


def _file_and_stem(model: str) -> tuple[Path, str]:
    """Returns the path of a model, of a URL the name of its file; and the name of new files that are made of it."""
    if model.lower().startswith("hf://"):
        from rapidseg.importing.hub_address import parse_hub_address

        stem = parse_hub_address(model).stem  # names of repositories may have dots
        return Path(stem), stem
    path = Path(model.partition("?")[0].rpartition("/")[2]) if "://" in model else Path(model)
    return path, path.stem
