"""Models in folders: weights with their specification, and a model card for people."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidseg.core.arguments import check_path
from rapidseg.core.errors import ModelFileError
from rapidseg.core.files import check_output_folder, write_text
from rapidseg.core.spec import ModelSpec, Score

if TYPE_CHECKING:
    from rapidseg.models.segmentation_model import SegmentationModel

WEIGHTS_NAME = "model.safetensors"
SPEC_NAME = "spec.json"
CARD_NAME = "README.md"

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


def model_card(spec: ModelSpec, num_parameters: int) -> str:
    """Returns a Markdown page about a model: what it is, its scores, its classes, its license and how to load it."""
    labels = spec.labels
    name = f"{spec.architecture} for {labels.num_classes} classes"
    facts = [
        ("Architecture", spec.architecture),
        ("Parameters", f"{num_parameters / 1e6:.2f} M"),
        ("Stride", f"{spec.stride} pixels"),
        ("Input size", f"{spec.input_short_side} pixels on the shorter side" if spec.input_short_side else "any"),
        ("Trained on", spec.training_data or "unknown"),
        ("Source", spec.source or "unknown"),
        ("License of the weights", spec.license or "unknown"),
        ("SHA-256 of the weights", f"`{spec.checksum}`"),
    ]
    lines = [f"# {name}", "", "Semantic segmentation with RapidSeg.", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in facts]
    lines += ["", "## Scores", "", *_score_lines(spec.scores)]
    lines += ["", "## Classes", "", "| id | class | color (RGB) |", "|---|---|---|"]
    lines += [
        f"| {index} | {label} | {', '.join(map(str, color))} |"
        for index, (label, color) in enumerate(zip(labels.names, labels.palette, strict=True))
    ]
    lines += ["", f"Pixels with the label {labels.ignore_index} are ignored.", "", "## How to load", ""]
    lines += [
        "```python",
        "import rapidseg",
        "",
        'segmenter = rapidseg.load("path/to/this/folder")',
        'class_map = segmenter("photo.jpg").class_map',
        "```",
        "",
        "As a PyTorch module:",
        "",
        "```python",
        "from rapidseg.models import SegmentationModel",
        "",
        'model = SegmentationModel.from_pretrained("path/to/this/folder")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _score_lines(scores: tuple[Score, ...]) -> list[str]:
    if not scores:
        return ["Not measured."]
    lines = ["| data set | split | mIoU | protocol |", "|---|---|---|---|"]
    return lines + [
        f"| {score.dataset} | {score.split} | {score.mean_iou:.3f} | {score.protocol} |" for score in scores
    ]
