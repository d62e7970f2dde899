"""The networks, with 19 classes, whose speed and memory the scripts measure: architecture and options by name."""

from __future__ import annotations

NETWORKS = {
    "fast-scnn": ("fast-scnn", {}),
    "fastfcn-fcn": ("fastfcn", {"head": "fcn"}),
    "fastfcn-psp": ("fastfcn", {"variant": "openmmlab", "head": "psp"}),
    "fastfcn-aspp": ("fastfcn", {"variant": "openmmlab", "head": "aspp"}),
    "fastfcn-enc": ("fastfcn", {"variant": "openmmlab", "head": "enc"}),
    "fastfcn-enc-jpu_x": ("fastfcn", {"head": "enc", "neck": "jpu_x"}),
    "deeplabv3-d8": ("deeplabv3", {}),
    "deeplabv3-d32": ("deeplabv3", {"output_stride": 32}),
    "deeplabv3-d8-r101": ("deeplabv3", {"backbone": "resnet101"}),
    "pspnet-d8": ("pspnet", {}),
    "encnet-d8": ("encnet", {}),
    "encnet-d8-lateral": ("encnet", {"lateral": True}),
}
