"""Losses against those that OpenMMLab's configurations compute for the same logits."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import torch

from rapidseg.losses import HeadLosses, PixelLoss
from rapidseg.models.layers import upsample

# The means run over up to 600,000 float32 values; ours adds them in another order.
TOLERANCE = 1e-4

# Name in the reference: our output and its weight. `aux` stands where there is one auxiliary head, `aux_0` of two.
HEADS = {
    "decode.loss_ce": ("logits", 1.0),
    "decode.loss_se": ("se_logits", 0.2),
    "aux.loss_ce": ("aux_0_logits", 0.4),
    "aux_0.loss_ce": ("aux_0_logits", 0.4),
    "aux_1.loss_ce": ("aux_1_logits", 0.4),
}
FIXTURES = {
    "fast_scnn": "sigmoid",
    "deeplabv3_r50-d8": "softmax",
    "encnet_r50-d8": "softmax",
    "fastfcn_jpu_aspp": "softmax",
    "fastfcn_jpu_enc": "softmax",
    "fastfcn_jpu_psp": "softmax",
    "pspnet_r50-d8": "softmax",
}


@pytest.mark.parametrize("fixture", FIXTURES)
def test_losses_of_all_heads(fixture, parity_dir):
    meta = json.loads((parity_dir / "openmmlab" / f"{fixture}.json").read_text())
    arrays = np.load(parity_dir / "openmmlab" / f"{fixture}.npz")
    outputs = {name: torch.from_numpy(arrays[name]).float() for name in arrays.files if name.endswith("logits")}
    n, _, h, w = meta["input"]
    labels = np.random.RandomState(meta["seed"] + 1).randint(0, meta["num_classes"], (n, h, w))
    labels[:, :5, :7] = meta["ignore_index"]
    loss = PixelLoss(
        FIXTURES[fixture], num_classes=meta["num_classes"], ignore_index=meta["ignore_index"], reduction="all_pixels"
    )
    losses = HeadLosses(loss, dict(HEADS[name] for name in meta["losses"]))
    losses.check_outputs(outputs)
    total, parts = losses(outputs, torch.from_numpy(labels), partial(upsample, align_corners=False))
    for name, value in meta["losses"].items():
        assert parts[HEADS[name][0]].item() == pytest.approx(value, rel=TOLERANCE), name
    assert total.item() == pytest.approx(sum(meta["losses"].values()), rel=TOLERANCE)
