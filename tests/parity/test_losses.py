"""Losses against those that OpenMMLab's Fast-SCNN configuration computes."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch

from rapidseg.importing import load_checkpoint
from rapidseg.losses import HeadLosses, PixelLoss

# The mean runs over 600,000 float32 values; ours adds them in another order.
TOLERANCE = 1e-4
HEADS = {  # name in the reference: our output and its weight
    "decode.loss_ce": ("logits", 1.0),
    "aux_0.loss_ce": ("aux_0_logits", 0.4),
    "aux_1.loss_ce": ("aux_1_logits", 0.4),
}


@pytest.fixture(scope="module")
def reference(parity_dir, tmp_path_factory):
    """The fixture's description, its model and its images."""
    specification = importlib.util.spec_from_file_location("parity_check", parity_dir / "check.py")
    check = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(check)
    meta = json.loads((parity_dir / "openmmlab" / "fast_scnn.json").read_text())
    path = tmp_path_factory.mktemp("parity") / "fast_scnn.pth"
    torch.save(check.checkpoint(meta), path)
    normal = np.random.RandomState(meta["seed"]).standard_normal(meta["input"])
    return meta, load_checkpoint(path), torch.from_numpy(normal.astype(np.float32))


def test_sigmoid_losses_of_all_heads(reference):
    meta, model, images = reference
    n, _, h, w = meta["input"]
    labels = np.random.RandomState(meta["seed"] + 1).randint(0, meta["num_classes"], (n, h, w))
    labels[:, :5, :7] = meta["ignore_index"]
    loss = PixelLoss(
        "sigmoid", num_classes=meta["num_classes"], ignore_index=meta["ignore_index"], average="all_pixels"
    )
    losses = HeadLosses(loss, dict(HEADS.values()))
    with torch.inference_mode():
        total, parts = losses(model.forward_all(images), torch.from_numpy(labels), model.upsample)
    for name, (output, _) in HEADS.items():
        assert parts[output].item() == pytest.approx(meta["losses"][name], rel=TOLERANCE), name
    assert total.item() == pytest.approx(sum(meta["losses"].values()), rel=TOLERANCE)
