"""The networks of the contract tests: every variant of every architecture, and options that change the network."""

from __future__ import annotations

import torch

from rapidseg.core.labels import CAMVID
from rapidseg.models import ARCHITECTURES, create_model

OPTIONS = {
    "fastfcn-fcn": ("fastfcn", {"head": "fcn"}),
    "fastfcn-psp": ("fastfcn", {"head": "psp"}),
    "fastfcn-aspp": ("fastfcn", {"head": "aspp", "aux_head": False}),
    "fastfcn-jpu_x": ("fastfcn", {"neck": "jpu_x", "se_branch": False}),
    "fastfcn-openmmlab-psp": ("fastfcn", {"variant": "openmmlab", "head": "psp", "stem": "plain"}),
    "fastfcn-openmmlab-aspp": ("fastfcn", {"variant": "openmmlab", "head": "aspp"}),
    "deeplabv3-d32": ("deeplabv3", {"output_stride": 32}),
    "deeplabv3-multi_grid": ("deeplabv3", {"multi_grid": (4, 8, 16)}),
    "pspnet-d32-r101": ("pspnet", {"output_stride": 32, "backbone": "resnet101"}),
    "pspnet-d8-r18": ("pspnet", {"backbone": "resnet18", "stem": "plain"}),
    "encnet-lateral": ("encnet", {"lateral": True}),
    "encnet-d32": ("encnet", {"output_stride": 32, "stem": "plain"}),
}
VARIANTS = {
    f"{name}-{variant}": (name, {"variant": variant})
    for name, architecture in ARCHITECTURES.items()
    for variant in architecture.variants
}
NETWORKS = {**VARIANTS, **OPTIONS}


def make_network(case):
    """A small one, with the same weights at every call."""
    name, options = NETWORKS[case]
    torch.manual_seed(0)
    return create_model(name, labels=CAMVID, width=0.25, **options)
