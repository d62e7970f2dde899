"""Finds model files by name and reads their specifications.

The specification is parsed from the bytes of the file (ONNX is protocol buffers), which needs neither the onnx package
nor an engine, and reports a damaged file before an engine fails on it.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from pathlib import Path

from rapidseg.core.errors import ModelFileError
from rapidseg.core.files import file_in_folder
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.runtime.content_check import (
    CHECKSUM_KEY,
    GRAPH,
    KEY,
    METADATA_PROPS,
    VALUE,
    checksum_of_content,
    tensors_with_broken_values,
)
from rapidseg.runtime.protobuf import BYTES, read_fields
from rapidseg.zoo import model_hint, published_models

ASSETS = Path(__file__).resolve().parents[1] / "assets"
BUILT_IN_MODELS = ("fast-scnn-camvid", "fast-scnn-camvid-int8")  # the first is the default of `load`
SAMPLE_IMAGE = ASSETS / "sample.png"

CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".tar", ".bin")


def find_model(model: str | os.PathLike[str] | None) -> Path:
    """Returns the path of a model file.

    Args:
        model: its path, the name of a built-in model, or None for the first of those.

    Raises:
        ModelFileError: no file and no built-in model has that name.
    """
    if model is None:
        model = BUILT_IN_MODELS[0]
    name = os.fspath(model)
    if name in BUILT_IN_MODELS:
        return ASSETS / f"{name}.onnx"
    path = Path(name)
    if path.is_dir():
        raise ModelFileError(f"{name} is a folder; {file_in_folder(path, ('.onnx', *CHECKPOINT_SUFFIXES))}")
    if path.exists():
        return path
    if name in published_models():
        raise ModelFileError(
            f"{name} is a published model, whose weights are not part of the package; rapidseg.load downloads them"
        )
    raise ModelFileError(f"{name} is neither a file nor the name of a model{model_hint(name)}")


def read_spec(path: str | os.PathLike[str]) -> ModelSpec:
    """Reads the specification in the metadata of a model file, and checks that the file is as it was written.

    Files of version 0.1 have no checksum; their weights must be finite numbers.

    Raises:
        ModelFileError: the file cannot be read, is not an ONNX file, is cut off, damaged or changed, or has no valid
            specification.
    """
    path = Path(path)
    if path.name.endswith(CHECKPOINT_SUFFIXES):
        raise ModelFileError(f"{path} is a checkpoint, not a model file; create one with: rapidseg export {path}")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            metadata = read_metadata(content)
            problem = _find_damage(content, metadata) if SPEC_KEY in metadata else None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError) as error:
        raise ModelFileError(
            f"{path} is not an ONNX file, or was cut off; models are the .onnx files that `rapidseg export` writes"
        ) from error
    if SPEC_KEY not in metadata:
        raise ModelFileError(
            f"{path} has no model specification (metadata {SPEC_KEY!r}), so its classes are unknown; "
            "pass a file that `rapidseg export` wrote"
        )
    if problem:
        raise ModelFileError(f"{path} {problem}; download or copy the file again, or export the model again")
    return ModelSpec.from_json(metadata[SPEC_KEY], where=str(path))


def read_metadata(content: bytes | mmap.mmap) -> dict[str, str]:
    """Returns the metadata of an ONNX file.

    Raises:
        ValueError, KeyError: the bytes are not an ONNX file, or cut off.
    """
    fields = [field for field in read_fields(content) if field.wire_type == BYTES]
    if not any(field.number == GRAPH for field in fields):
        raise ValueError("no graph")
    metadata = {}
    for field in fields:
        if field.number == METADATA_PROPS:
            body = content[field.body : field.end]
            entry = {part.number: body[part.body : part.end].decode() for part in read_fields(body)}
            metadata[entry[KEY]] = entry.get(VALUE, "")
    return metadata


def _find_damage(content: mmap.mmap, metadata: Mapping[str, str]) -> str | None:
    """Returns what is wrong with the content of a model file; None if nothing is."""
    if CHECKSUM_KEY in metadata:
        if checksum_of_content(content) != metadata[CHECKSUM_KEY]:
            return "is damaged, or was changed after it was made: its checksum does not match its content"
        return None
    broken = tensors_with_broken_values(content)
    if broken:
        return f"has NaN or infinite values in {len(broken)} of its tensors, such as {broken[0]!r:.80}"
    return None
