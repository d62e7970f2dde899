"""Tells backbones apart by their tensor names. PyTorch is not needed."""

from __future__ import annotations

from collections.abc import Collection

_STEMS = {  # a name that only this stem has -> its source
    "stem.6.weight": "ResNet with OpenMMLab's deep stem",
    "conv1.6.weight": "ResNet with Hang Zhang's deep stem",
    "conv1.weight": "ResNet with torchvision's stem",
}
_LAYER = "layer4.0.conv1.weight"


def backbone_kind(names: Collection[str]) -> str | None:
    """Describes the backbone that tensor names, without prefixes, belong to; None if they belong to something else."""
    if _LAYER not in names:
        return None
    return next((kind for marker, kind in _STEMS.items() if marker in names), None)
