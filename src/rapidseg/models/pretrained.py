"""Models in folders: weights with their specification, and a model card for people."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidseg.core.arguments import check_path
from rapidseg.core.errors import ModelFileError
from rapidseg.core.files import check_output_folder, write_text
from rapidseg.core.model_card import CARD_NAME, SPEC_NAME, model_card

if TYPE_CHECKING:
    from rapidseg.models.segmentation_model import SegmentationModel

WEIGHTS_NAME = "model.safetensors"

# Not an import: `importing` is built on `models`. It reads what others published, where it is installed.
_CHECKPOINT_READER = "rapidseg.importing"


def save_pretrained(model: SegmentationModel, folder: str | os.PathLike[str]) -> Path:
    """Writes a model to a folder; see `SegmentationModel.save_pretrained`."""
    from rapidseg.models.weights_file import save_model

    folder = check_output_folder(check_path("folder", folder, "the folder to write to, as text or pathlib.Path"))
    spec = save_model(model, folder / WEIGHTS_NAME)
    write_text(folder / SPEC_NAME, spec.model_dump_json(indent=2) + "\n")
    write_text(folder / CARD_NAME, model_card(spec, sum(tensor.numel() for tensor in model.parameters())))
    return folder


def from_pretrained(source: str | os.PathLike[str]) -> SegmentationModel:
    """Loads a model; see `SegmentationModel.from_pretrained`."""
    from rapidseg.models.weights_file import load_model

    path = Path(check_path("source", source))
    if path.is_dir():
        if not (path / WEIGHTS_NAME).is_file():
            raise ModelFileError(f"{path}: this folder has no {WEIGHTS_NAME}; pass one that `save_pretrained` wrote")
        return load_model(path / WEIGHTS_NAME)
    reader: Any = importlib.import_module(_CHECKPOINT_READER)
    model: SegmentationModel = reader.load_checkpoint(source)
    return model
