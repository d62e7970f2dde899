"""The models that others published, and the figures of ours, as data files: names, figures, sources, addresses.

    from rapidseg import zoo

    model = zoo.find("pspnet-r50-d8-cityscapes")
    model.published.mean_iou_percent   # 78.55, as its source prints it
    model.url                          # where its weights are

The files are in `published/` (one a published row), `built_in/` and `architectures.yaml`. Nothing here needs PyTorch.
"""

from __future__ import annotations

from rapidseg.core.errors import ConfigError, nearest_hint
from rapidseg.zoo.entries import (
    ArchitectureEntry,
    BuiltInModel,
    Figures,
    Measurement,
    PublishedModel,
    Reported,
    Training,
    Weights,
)
from rapidseg.zoo.reading import architectures, built_in_models, published_models

__all__ = [
    "ArchitectureEntry",
    "BuiltInModel",
    "Figures",
    "Measurement",
    "PublishedModel",
    "Reported",
    "Training",
    "Weights",
    "architectures",
    "built_in_models",
    "find",
    "published_models",
]


def find(name: str) -> PublishedModel:
    """Returns the published model of that name; its `url` and `sha256_prefix` say where its weights are.

    Raises:
        ConfigError: there is none.
    """
    models = published_models()
    if name not in models:
        hint = nearest_hint(name, tuple(models))
        raise ConfigError(f"no published model {name!r}{hint}; `rapidseg models` lists them")
    return models[name]
