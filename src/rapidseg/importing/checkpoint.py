"""Loads checkpoints, ours and published ones, as models of PyTorch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from rapidseg.core.errors import ConfigError
from rapidseg.core.progress import Counter
from rapidseg.importing.built_in import is_built_in, load_built_in
from rapidseg.importing.class_names import LabelsLike
from rapidseg.importing.download import Note
from rapidseg.importing.recognition import RecognizedCheckpoint, recognize_checkpoint
from rapidseg.models import SegmentationModel, create_model, load_state, model_from_spec
from rapidseg.models.weights_file import to_torch


def load_checkpoint(
    source: str | os.PathLike[str],
    *,
    labels: LabelsLike | None = None,
    sha256: str | None = None,
    ema: bool | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Counter | None = None,
    note: Note | None = None,
) -> SegmentationModel:
    """Reads a checkpoint of RapidSeg or of a published implementation, recognized by its tensor names.

    Only tensors are read: no code in the file is run. docs/importing.md lists the supported sources.

    Args:
        source: a file; an `http(s)` URL or `hf://OWNER/NAME`, whose file is downloaded once and kept; or the name of a
            published model, such as `fast-scnn-cityscapes`, whose weights are downloaded, or of the built-in one.
        labels: the classes of a published checkpoint: a label set, the name of a known one such as `cityscapes`, a YAML
            file that describes a data set, or names. None: the classes that the file names. If it names none, 19
            classes are assumed to be those of Cityscapes, and others are called `class_0` and so on.
        sha256: the first 8 to 64 hex digits of the file's SHA-256; `fetch` says what is checked without it.
        ema: of two copies of the weights, whether to take the moving average. None: the average if there is one.
        options: of the network, where a checkpoint's tensors do not tell them, such as `{"output_stride": 32}` for a
            baseline whose backbone is not dilated; docs/compatibility.md says which they are.
        progress: called with the bytes downloaded and the bytes in all, or None where that is unknown. None: a line on
            standard error shows them, if that is a terminal.
        note: called with each decision, in a sentence. None: decisions are logged (`rapidseg.importing`, INFO).

    Returns:
        The model in evaluation mode on the CPU in float32, with every tensor from the file.

    Raises:
        ModelFileError: the file is missing, truncated or of an unknown layout, cannot be read without running code, or
            its tensors do not fit.
        ConfigError: `labels`, `ema` or `options` does not match the file.
        InputError: `labels` or the URL is not valid.
        RapidSegError: the file cannot be downloaded, or is not the expected one.
    """
    if is_built_in(os.fspath(source)):
        if labels is not None or ema is not None or options:
            raise ConfigError(f"{source} has its own labels, options and weights; pass the name alone")
        return load_built_in(os.fspath(source))
    found = recognize_checkpoint(source, labels=labels, sha256=sha256, ema=ema, progress=progress, note=note)
    return build_model(found, options)


def build_model(found: RecognizedCheckpoint, options: Mapping[str, Any] | None = None) -> SegmentationModel:
    """Returns the model of a checkpoint that was read, in evaluation mode; `options` as for `load_checkpoint`."""
    if found.spec is not None:
        if options:
            raise ConfigError(
                f"{found.path} has its own labels and options and a single set of weights; remove options"
            )
        model = model_from_spec(found.spec)
    else:
        assert found.layout is not None, "a file has a specification of ours or a layout"
        chosen = {**found.options, **(options or {})}
        model = create_model(found.layout.architecture, labels=found.labels, variant=found.layout.variant, **chosen)
        model.spec = model.spec.model_copy(update=found.origin)
    load_state(model, to_torch(found.state), where=found.where)
    return model.eval()
