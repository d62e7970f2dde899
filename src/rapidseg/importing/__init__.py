"""Reads weights that others published: as model files without PyTorch, and as models of this project.

Names that need PyTorch are imported when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rapidseg.importing.class_names import LabelsLike, find_labels
from rapidseg.importing.download import Note, fetch, is_url, kept_download
from rapidseg.importing.model_building import build_model_file
from rapidseg.importing.recognition import (
    RecognizedCheckpoint,
    find_checkpoint,
    find_published,
    license_note,
    recognize_checkpoint,
)

if TYPE_CHECKING:
    from rapidseg.importing.backbone import load_backbone
    from rapidseg.importing.built_in import is_built_in
    from rapidseg.importing.checkpoint import load_checkpoint
    from rapidseg.importing.encoder_checkpoint import find_encoder
    from rapidseg.importing.initial_weights import initialize_from
    from rapidseg.importing.weights_use import WeightsUse

_NEED_PYTORCH = {
    "WeightsUse": "weights_use",
    "find_encoder": "encoder_checkpoint",
    "initialize_from": "initial_weights",
    "is_built_in": "built_in",
    "load_backbone": "backbone",
    "load_checkpoint": "checkpoint",
}

__all__ = [
    "LabelsLike",
    "Note",
    "RecognizedCheckpoint",
    "WeightsUse",
    "build_model_file",
    "fetch",
    "find_checkpoint",
    "find_encoder",
    "find_labels",
    "find_published",
    "initialize_from",
    "is_built_in",
    "is_url",
    "kept_download",
    "license_note",
    "load_backbone",
    "load_checkpoint",
    "recognize_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _NEED_PYTORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEED_PYTORCH[name]}"), name)
