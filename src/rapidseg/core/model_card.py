"""Model cards: a page for people about a model, made of its specification."""

from __future__ import annotations

from rapidseg.core.sizes import format_size
from rapidseg.core.spec import ModelSpec, Score

CARD_NAME = "README.md"  # of the file
SPEC_NAME = "spec.json"  # of the file with the whole specification

# The Hub's names of common licenses; others are `other`, with their own name beside it.
# https://huggingface.co/docs/hub/repositories-licenses
_HUB_LICENSES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "agpl-3.0", "lgpl-3.0", "mpl-2.0", "cc0-1.0"),
    *("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-3.0"),
)


def model_card(
    spec: ModelSpec,
    num_parameters: int | None,
    *,
    source: str = "path/to/this/folder",
    has_weights: bool = True,
    for_hub: bool = False,
) -> str:
    """Returns a Markdown page about a model: what it is, its scores, its classes, its license and how to load it.

    Args:
        spec: the model's specification.
        num_parameters: learned values; None: not said.
        source: what readers pass to `rapidseg.load`.
        has_weights: whether the model can be loaded as a PyTorch module, too; a model file (.onnx) cannot.
        for_hub: whether to begin with the metadata by which the Hugging Face Hub finds models.
    """
    labels = spec.labels
    parameters = [] if num_parameters is None else [("Parameters", f"{num_parameters / 1e6:.2f} M")]
    facts = [
        ("Architecture", spec.architecture),
        *parameters,
        ("Stride", f"{spec.stride} pixels"),
        ("Input size", _input_size(spec)),
        ("Trained on", spec.training_data or "unknown"),
        ("Source", spec.source or "unknown"),
        ("License of the weights", spec.license or "unknown"),
        ("SHA-256 of the weights", f"`{spec.checksum}`"),
    ]
    lines = _hub_metadata(spec) if for_hub else []
    lines += [f"# {_title(spec)}", "", "Semantic segmentation with RapidSeg.", "", "| | |", "|---|---|"]
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
        f'segmenter = rapidseg.load("{source}")',
        'class_map = segmenter("photo.jpg").class_map',
        "```",
        "",
    ]
    if has_weights:
        lines += [
            "As a PyTorch module:",
            "",
            "```python",
            "from rapidseg.models import SegmentationModel",
            "",
            f'model = SegmentationModel.from_pretrained("{source}")',
            "```",
            "",
        ]
    return "\n".join(lines)


def _input_size(spec: ModelSpec) -> str:
    if spec.static_size is not None:
        return f"{format_size(spec.static_size)} only (height x width)"
    return f"{spec.input_short_side} pixels on the shorter side" if spec.input_short_side else "any"


def _title(spec: ModelSpec) -> str:
    return f"{spec.architecture} for {spec.labels.num_classes} classes"


def _hub_metadata(spec: ModelSpec) -> list[str]:
    lines = ["---", "library_name: rapidseg", "pipeline_tag: image-segmentation"]
    if spec.license is not None and spec.license.lower() in _HUB_LICENSES:
        lines.append(f"license: {spec.license.lower()}")
    elif spec.license is not None:
        lines.append("license: other")  # the card's table has its text
    return [*lines, "tags:", "- semantic-segmentation", f"- {spec.architecture}", "---", ""]


def _score_lines(scores: tuple[Score, ...]) -> list[str]:
    if not scores:
        return ["Not measured."]
    lines = ["| data set | split | mIoU | protocol |", "|---|---|---|---|"]
    return lines + [
        f"| {score.dataset} | {score.split} | {score.mean_iou:.3f} | {score.protocol} |" for score in scores
    ]
