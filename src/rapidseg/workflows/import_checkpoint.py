"""`import_checkpoint`: a published checkpoint to a model file of this project."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidseg.core.arguments import check_path
from rapidseg.core.encoder_spec import EncoderSpec
from rapidseg.core.errors import ConfigError
from rapidseg.core.extras import require_extra
from rapidseg.core.progress import DOWNLOADS, Progress, counter
from rapidseg.core.report import Report
from rapidseg.core.spec import ModelSpec
from rapidseg.workflows.arguments import FLAG, TEXT, checked
from rapidseg.workflows.sources import output_path

if TYPE_CHECKING:
    from rapidseg.importing import LabelsLike


@dataclass(frozen=True)
class ImportReport(Report):
    """An imported checkpoint.

    Attributes:
        path: the file that was written.
        spec: its specification, with the checksum of the weights; an `EncoderSpec` for the published encoder of
            instance discrimination, from which `model.weights` starts a training run.
        num_parameters: learned values that prediction uses.
        notes: the decisions made where the checkpoint leaves a choice, a sentence each.
    """

    path: Path
    spec: ModelSpec | EncoderSpec
    num_parameters: int
    notes: tuple[str, ...]

    @property
    def encoder(self) -> EncoderSpec | None:
        """The specification of an encoder; None where a segmentation network was imported."""
        return self.spec if isinstance(self.spec, EncoderSpec) else None

    def headline(self) -> str:
        if isinstance(self.spec, EncoderSpec):
            network = f"encoder {self.spec.network}"
        else:
            network = f"{self.spec.architecture}, {self.spec.labels.num_classes} classes"
        return f"{network}, {self.num_parameters / 1e6:.2f} M parameters; {self.path}"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "file": str(self.path),
            "parameters": self.num_parameters,
            "notes": list(self.notes),
            "spec": self.spec.model_dump(mode="json"),
        }


@checked("output", "labels", "options", "progress", source=check_path, sha256=TEXT, ema=FLAG)
def import_checkpoint(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    labels: LabelsLike | None = None,
    sha256: str | None = None,
    ema: bool | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress = DOWNLOADS,
) -> ImportReport:
    """Reads a published checkpoint, recognizes its source by its tensor names, and writes it as safetensors.

    Only tensors are read: no code in the checkpoint is run. A URL is downloaded once and kept; interrupted downloads
    are resumed.

    Args:
        source: a file, an `http(s)` URL, `hf://OWNER/NAME`, or the name of a published model, such as
            `fast-scnn-cityscapes`.
        output: the file to write, ending in .safetensors. None: beside the checkpoint, under its name; for a URL or a
            name, in the current folder.
        labels: the classes: a label set, the name of a known one such as `cityscapes`, a YAML file that describes a
            data set, or names. None: those that the file names.
        sha256: the first 8 to 64 hex digits of the file's SHA-256. None: for a URL, the 8 digits at the end of the
            file's name, if it has them.
        ema: of two copies of the weights, whether to take the moving average. None: the average if there is one.
        options: of the network, where the tensors do not tell them, such as `{"output_stride": 32}`.
        progress: watches the download.

    Raises:
        InputError: `output`, `labels`, `sha256` or the URL is not allowed.
        ModelFileError: the checkpoint is missing, damaged or of an unknown layout.
        ConfigError: `labels`, `ema` or `options` does not match the checkpoint.
        RapidSegError: the download fails, or the file is not the expected one.
    """
    path = output_path(source, output, ".safetensors")
    require_extra("export")
    from rapidseg.importing import (
        find_checkpoint,
        find_encoder,
        find_published,
        is_built_in,
        load_checkpoint,
        recognize_checkpoint,
    )
    from rapidseg.importing.checkpoint import build_model
    from rapidseg.models import count_parameters, save_model
    from rapidseg.models.encoder_file import is_encoder_file, save_encoder

    notes: list[str] = []
    downloading = counter(progress, "downloading", unit="bytes")
    file: str | Path = os.fspath(source)
    if not is_built_in(str(file)):
        file = find_checkpoint(source, sha256=sha256, progress=downloading, note=notes.append)
    is_new = isinstance(file, Path) and not is_encoder_file(file)
    encoder = find_encoder(Path(file), note=notes.append) if is_new else None
    if encoder is not None:
        _refuse_options(file, labels=labels, ema=ema, options=options)
        encoder_spec, state = encoder
        written = save_encoder(state, encoder_spec, path)
        learned = sum(tensor.numel() for name, tensor in state.items() if name.endswith(("weight", "bias")))
        return ImportReport(path=path, spec=written, num_parameters=learned, notes=tuple(notes))
    if isinstance(file, Path):
        published = find_published(os.fspath(source))
        found = recognize_checkpoint(file, labels=labels, ema=ema, note=notes.append, published=published)
        model = build_model(found, options)
    else:
        model = load_checkpoint(file, labels=labels, ema=ema, options=options)
    spec = save_model(model, path)
    return ImportReport(path=path, spec=spec, num_parameters=count_parameters(model), notes=tuple(notes))


def _refuse_options(file: object, **options: Any) -> None:
    for name, value in options.items():
        if value:
            raise ConfigError(f"{file} is an encoder, to which {name} does not apply; remove it")
