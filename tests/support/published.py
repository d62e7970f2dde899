"""Checkpoints with random weights and the tensor names of published implementations."""

from __future__ import annotations

import re

from rapidseg.importing.layouts import LAYOUTS
from rapidseg.models import create_model

PARITY_FIXTURES = (
    "openmmlab/deeplabv3_r50-d8",
    "openmmlab/encnet_r50-d8",
    "openmmlab/fast_scnn",
    "openmmlab/fastfcn_jpu_aspp",
    "openmmlab/fastfcn_jpu_enc",
    "openmmlab/fastfcn_jpu_psp",
    "openmmlab/pspnet_r50-d8",
    "standalone/fastfcn_deeplab_jpu",
    "standalone/fastfcn_encnet_jpu",
    "standalone/fastfcn_encnet_jpu_x",
    "standalone/fastfcn_fcn_jpu",
    "standalone/fastfcn_psp_jpu",
    "standalone/leftthomas_fast_scnn",
    "standalone/tramac_fast_scnn",
)
"""Checkpoints whose reference outputs stand beside the parity checks."""

FAST_SCNN = {layout.variant: layout for layout in LAYOUTS if layout.architecture == "fast-scnn"}


def published_state(variant, num_classes=19):
    """Returns the state of a Fast-SCNN with published tensor names, by inverting the rules of its layout."""
    layout = FAST_SCNN[variant]
    heads = {"openmmlab": ("deep", "stem"), "tramac": ("stem",), "leftthomas": ()}[variant]
    model = create_model(layout.architecture, num_classes, variant=layout.variant, aux_heads=heads)
    return {_published_name(layout, name): tensor for name, tensor in model.state_dict().items()}


def _published_name(layout, ours):
    for pattern, replacement in layout.rules:
        names = re.findall(r"\(([a-z_|]+)\)", pattern)
        for suffix in names[0].split("|") if names else [""]:
            theirs = re.sub(r"\([a-z_|]+\)", suffix, pattern).replace("\\", "")
            if re.sub(pattern, replacement, theirs) == ours:
                return theirs
    raise AssertionError(f"no rule gives {ours}")
