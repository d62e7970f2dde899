"""Models by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from rapidseg.core.errors import ConfigError, nearest_hint
from rapidseg.core.labels import LabelSet
from rapidseg.core.spec import ModelSpec
from rapidseg.models import deeplabv3, encnet, fast_scnn, fastfcn, pspnet
from rapidseg.models.network_options import resolve_options
from rapidseg.models.segmentation_model import SegmentationModel


@dataclass(frozen=True)
class Architecture:
    """A family of networks: its options, the named combinations of them (variants), and how to build a network.

    The first variant is the default.
    """

    name: str
    paper: str
    options: type[BaseModel]
    variants: dict[str, Any]
    build: Callable[[LabelSet, Any], SegmentationModel]


ARCHITECTURES = {
    "fast-scnn": Architecture(
        name="fast-scnn",
        paper="Fast-SCNN: Fast Semantic Segmentation Network, arXiv 1902.04502",
        options=fast_scnn.FastScnnOptions,
        variants=dict(fast_scnn.VARIANTS),
        build=fast_scnn.FastScnn,
    ),
    "fastfcn": Architecture(
        name="fastfcn",
        paper="FastFCN: Rethinking Dilated Convolution in the Backbone for Semantic Segmentation, arXiv 1903.11816",
        options=fastfcn.FastFcnOptions,
        variants=dict(fastfcn.VARIANTS),
        build=fastfcn.FastFcn,
    ),
    "deeplabv3": Architecture(
        name="deeplabv3",
        paper="Rethinking Atrous Convolution for Semantic Image Segmentation, arXiv 1706.05587",
        options=deeplabv3.DeepLabV3Options,
        variants=dict(deeplabv3.VARIANTS),
        build=deeplabv3.DeepLabV3,
    ),
    "pspnet": Architecture(
        name="pspnet",
        paper="Pyramid Scene Parsing Network, arXiv 1612.01105",
        options=pspnet.PspNetOptions,
        variants=dict(pspnet.VARIANTS),
        build=pspnet.PspNet,
    ),
    "encnet": Architecture(
        name="encnet",
        paper="Context Encoding for Semantic Segmentation, arXiv 1803.08904",
        options=encnet.EncNetOptions,
        variants=dict(encnet.VARIANTS),
        build=encnet.EncNet,
    ),
}


def get_architecture(name: str) -> Architecture:
    """Returns the architecture of that name.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ConfigError(f"unknown architecture {name!r}{nearest_hint(name, tuple(ARCHITECTURES))}; known: {known}")
    return ARCHITECTURES[name]


def create_model(
    name: str,
    num_classes: int | None = None,
    *,
    labels: LabelSet | None = None,
    variant: str | None = None,
    **options: Any,
) -> SegmentationModel:
    """Builds a model with random weights.

    Args:
        name: of the architecture, such as `fast-scnn`.
        num_classes: number of classes; needed only without `labels`.
        labels: the classes; None names them `class_0` and so on.
        variant: a named combination of options, such as `paper` or `openmmlab`; None uses the architecture's first.
        **options: options that differ from the variant's.

    Raises:
        ConfigError: an unknown name, variant or option, or neither `num_classes` nor `labels`.
    """
    architecture = get_architecture(name)
    if labels is None:
        if num_classes is None:
            raise ConfigError("pass num_classes or labels")
        labels = LabelSet.generic(num_classes)
    elif num_classes is not None and num_classes != labels.num_classes:
        raise ConfigError(
            f"num_classes is {num_classes}, but labels has {labels.num_classes} classes; pass only one of them"
        )
    if variant is None:
        variant = next(iter(architecture.variants))
    if variant not in architecture.variants:
        hint = nearest_hint(variant, tuple(architecture.variants))
        known = ", ".join(architecture.variants)
        raise ConfigError(f"unknown variant {variant!r} of {name}{hint}; known: {known}")
    defaults = architecture.variants[variant].model_dump()
    return architecture.build(labels, resolve_options(architecture.options, options, network=name, defaults=defaults))


def model_from_spec(spec: ModelSpec) -> SegmentationModel:
    """Builds the model that a specification describes, with random weights and that specification."""
    model = create_model(spec.architecture, labels=spec.labels, **spec.options)
    model.spec = spec
    return model
