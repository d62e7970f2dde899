"""From images without a class per pixel to an encoder that segmentation starts from.

from rapidseg.pretraining import load_encoder

features = load_encoder("runs/pretrained/best.safetensors")(images)

`rapidseg.workflows.pretrain` runs a whole recipe, and is what the command line calls. Names are imported when they are
first used: what only reports on a run needs no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rapidseg.pretraining.encoder import Encoder, load_encoder
    from rapidseg.pretraining.knn import knn_scores, top_k_accuracy
    from rapidseg.pretraining.methods import Byol, InstanceDiscrimination, Method, Supervised

__all__ = [
    "Byol",
    "Encoder",
    "InstanceDiscrimination",
    "Method",
    "Supervised",
    "knn_scores",
    "load_encoder",
    "top_k_accuracy",
]

_MODULES = {
    **dict.fromkeys(("Encoder", "load_encoder"), "encoder"),
    **dict.fromkeys(("knn_scores", "top_k_accuracy"), "knn"),
    **dict.fromkeys(("Byol", "InstanceDiscrimination", "Method", "Supervised"), "methods"),
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'rapidseg.pretraining' has no attribute {name!r}")
    return getattr(import_module(f"rapidseg.pretraining.{_MODULES[name]}"), name)
