"""Tuned files: the model that `rapidseg tune` selected, and how to run it on the machine where it was tuned.

`rapidseg.load("model.tuned.yaml")` loads one like a model.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.core.files import write_text
from rapidseg.core.strict_yaml import dump_yaml, read_yaml
from rapidseg.core.validation import explain_validation
from rapidseg.runtime.model_file import BUILT_IN_MODELS, find_model

_HEAD = "# Written by `rapidseg tune`; use it as rapidseg.load({name!r}), or as --model of `rapidseg predict`.\n"


class TunedFigures(BaseModel):
    """Measurements of the selected configuration on images of `image_size_hw`, from memory to memory.

    Attributes:
        path_ms, path_ms_p5, path_ms_p95: median and percentiles of milliseconds per image.
        frames_per_s: images per second at the median.
        mean_iou: on `data`; None if no labeled images were passed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size_hw: tuple[int, int]
    path_ms: float
    path_ms_p5: float
    path_ms_p95: float
    frames_per_s: float
    mean_iou: float | None = None
    data: str | None = None


class TunedMachine(BaseModel):
    """The machine of the measurements."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    cpus: int
    system: str


class TunedModel(BaseModel):
    """The content of a tuned file.

    Attributes:
        rapidseg: version of the package that wrote it.
        model: path of the model file, relative to this file; or the name of a built-in model.
        sha256: of the model file's bytes.
        engine, precision, device: what `load` uses.
        input_short_side: pixels of the shorter side at which the network sees images; None: their own size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = Field(default=1, ge=1, le=1)
    rapidseg: str
    model: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    engine: str
    precision: str
    device: str
    input_short_side: int | None = Field(ge=32)
    measured: TunedFigures
    machine: TunedMachine


# YAML files of other kinds, by keys that they have: what they are, and what to do with them.
_MISTAKEN: tuple[tuple[frozenset[str], str], ...] = (
    *(
        (
            frozenset(keys),
            "is a recipe, not a model; train it: rapidseg train {path} -o runs/first, and load the "
            "best.safetensors that this writes",
        )
        for keys in (("extends",), ("data", "model"), ("optimizer",))
    ),
    (
        frozenset(("classes", "splits")),
        "describes a data set, not a model; train on it: rapidseg train {path} -o runs/first, or pass it as --data "
        "(data= in Python)",
    ),
)


def write_tuned(path: Path, tuned: TunedModel) -> None:
    """Writes the file atomically.

    Raises:
        RapidSegError: it cannot be written.
    """
    content = dump_yaml(tuned.model_dump(mode="json"))
    write_text(path, _HEAD.format(name=path.name) + content)


def read_tuned(path: str | os.PathLike[str]) -> tuple[TunedModel, Path]:
    """Reads the file, finds its model and verifies the checksum.

    Returns:
        The content of the file, and the path of the model file.

    Raises:
        ConfigError: the file cannot be read, or is not a tuned file.
        ModelFileError: its model does not exist, or is not the same as when it was tuned.
    """
    path = Path(path)
    tuned = _parse(path)
    if tuned.model in BUILT_IN_MODELS:
        model = find_model(tuned.model)
    else:
        model = path.parent / tuned.model
        if not model.is_file():
            raise ModelFileError(
                f"{path}: its model {model} does not exist; put it there (the path is relative to the tuned file), or "
                "run `rapidseg tune` again"
            )
    sha256 = file_sha256(model)
    if sha256 != tuned.sha256:
        raise ModelFileError(
            f"{path}: {model} is not the model that was tuned (SHA-256 {sha256[:12]}..., not {tuned.sha256[:12]}...); "
            "its speed and accuracy are unknown; run `rapidseg tune` again, or load the model itself"
        )
    return tuned, model


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes as hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def relative_model(model: str, model_path: Path, tuned_path: Path) -> str:
    """Returns the model as a tuned file names it: a built-in name, or the path relative to the tuned file."""
    if model in BUILT_IN_MODELS:
        return model
    return Path(os.path.relpath(model_path.resolve(), tuned_path.resolve().parent)).as_posix()


def _parse(path: Path) -> TunedModel:
    advice = "use a file that `rapidseg tune` wrote, or a model (.onnx)"
    content = read_yaml(path, "a tuned file", advice=advice)
    for keys, explanation in _MISTAKEN:
        if keys <= content.keys():
            raise ConfigError(f"{path} {explanation.format(path=path)}")
    if "sha256" not in content:
        raise ConfigError(f"{path} is not a tuned file: it has no key 'sha256'; {advice}")
    try:
        return TunedModel.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain_validation(error, TunedModel)}; run `rapidseg tune` again") from error
