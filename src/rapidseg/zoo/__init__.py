"""Published and built-in models as data: names, figures, sources and URLs.

    from rapidseg import zoo

    model = zoo.find("pspnet-r50-d8-cityscapes")
    model.published.mean_iou_percent   # 78.55, as its source prints it
    model.url                          # the URL of its weights

The files are in `published/` (one per published model), `built_in/` and `architectures.yaml`. PyTorch is not needed.
"""

from __future__ import annotations

from rapidseg.core.errors import ConfigError, nearest_hint
from rapidseg.zoo.entries import (
    ArchitectureEntry,
    BuiltInModel,
    Figures,
    MeasuredScore,
    PublishedModel,
    Reported,
    Training,
    WeightsFile,
)
from rapidseg.zoo.entry_files import architectures, built_in_models, published_models

_LISTED = "`rapidseg models` lists them"

__all__ = [
    "ArchitectureEntry",
    "BuiltInModel",
    "Figures",
    "MeasuredScore",
    "PublishedModel",
    "Reported",
    "Training",
    "WeightsFile",
    "architectures",
    "built_in_models",
    "find",
    "model_hint",
    "published_models",
]


def find(name: str) -> PublishedModel:
    """Returns the published model of that name; its `url` and `sha256_prefix` say where its weights are.

    Raises:
        ConfigError: the model does not exist.
    """
    models = published_models()
    if name not in models:
        raise ConfigError(f"unknown published model {name!r}{nearest_hint(name, tuple(models))}; {_LISTED}")
    return models[name]


def model_hint(name: str) -> str:
    """Returns the end of a message about an unknown name: the nearest names of models, and what lists all of them."""
    known = (*built_in_models(), *published_models())
    return f"{nearest_hint(name, known, max_words=2)}; {_LISTED}"
