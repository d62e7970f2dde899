"""Earlier names of recipes and of their keys, so that older recipe files, run folders and commands still work."""

from __future__ import annotations

from typing import Any

from rapidseg.core.errors import ConfigError

# Old name: current name. Keys are listed under the current name of their section.
RENAMES = {
    # recipes
    "fast-scnn_tiny": "tiny",
    "fast-scnn_camvid": "camvid/fast-scnn",
    "fast-scnn_cityscapes": "cityscapes/fast-scnn",
    "deeplabv3-r50-d8_cityscapes": "cityscapes/deeplabv3-r50-d8",
    "deeplabv3-r50-jpu_cityscapes-4x2": "cityscapes/deeplabv3-r50-jpu-4x2",
    "deeplabv3-r50-jpu_cityscapes-4x4": "cityscapes/deeplabv3-r50-jpu-4x4",
    "encnet-r50-d8_cityscapes": "cityscapes/encnet-r50-d8",
    "encnet-r50-jpu_cityscapes-4x2": "cityscapes/encnet-r50-jpu-4x2",
    "encnet-r50-jpu_cityscapes-4x4": "cityscapes/encnet-r50-jpu-4x4",
    "pspnet-r50-d8_cityscapes": "cityscapes/pspnet-r50-d8",
    "pspnet-r50-jpu_cityscapes-4x2": "cityscapes/pspnet-r50-jpu-4x2",
    "pspnet-r50-jpu_cityscapes-4x4": "cityscapes/pspnet-r50-jpu-4x4",
    # keys
    "data.kind": "data.name",
    "data.extra": "data.extra_datasets",
    "data.extra_datasets.kind": "data.extra_datasets.name",
    "data.augmentation.paste": "data.augmentation.copy_paste",
    "data.augmentation.paste_classes": "data.augmentation.copy_paste_classes",
    "loss.average": "loss.reduction",
    "model.norm_momentum": "model.bn_momentum",
    "model.working_short_side": "model.input_short_side",
}


def current_name(name: str) -> str:
    """Returns the current name of a recipe: `name` itself unless it was renamed."""
    return RENAMES.get(name, name)


def current_key(key: str) -> str:
    """Returns the current name of a dotted key, such as `data.extra_datasets.0.name` for `data.extra.0.kind`."""
    parts: list[str] = []
    for part in key.split("."):
        parts.append(part if part.isdecimal() else _current_part(_without_indices(parts), part))
    return ".".join(parts)


def with_current_keys(content: Any, key: str = "") -> Any:
    """Returns a copy of a part of a recipe in which every key has its current name.

    Args:
        content: as YAML gives it: mappings, lists and values.
        key: its dotted key in the recipe, with current names; empty for a whole recipe.

    Raises:
        ConfigError: a key is given under its old and under its new name.
    """
    if isinstance(content, list):
        return [with_current_keys(item, key) for item in content]
    if not isinstance(content, dict):
        return content
    section = _without_indices(key.split("."))
    renamed: dict[Any, Any] = {}
    for old, value in content.items():
        new = _current_part(section, old) if isinstance(old, str) else old
        if new != old and new in content:
            path = f"{section}." if section else ""
            raise ConfigError(f"{path}{old} is the old name of {path}{new}, and both are given; remove {path}{old}")
        renamed[new] = with_current_keys(value, f"{section}.{new}" if section else str(new))
    return renamed


def _current_part(section: str, part: str) -> str:
    key = f"{section}.{part}" if section else part
    return RENAMES.get(key, key).rpartition(".")[2] if section else part


def _without_indices(parts: list[str]) -> str:
    return ".".join(part for part in parts if part and not part.isdecimal())
