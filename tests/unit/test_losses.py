"""Losses: their values, what does not count, and what happens at the borders."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rapidseg.core.errors import ConfigError
from rapidseg.losses import HeadLosses, Ohem, PixelLoss, SemanticEncodingLoss, balanced_class_weights

K = 5
IGNORE = 255


def batch(seed=0, ignored=True):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, K, 7, 9, generator=generator, requires_grad=True)
    labels = torch.randint(0, K, (2, 7, 9), generator=generator).to(torch.uint8)
    if ignored:
        labels[:, :3, :4] = IGNORE
    return logits, labels


def pixel_loss(kind="softmax", **options):
    return PixelLoss(kind, num_classes=K, ignore_index=IGNORE, **options)


def test_softmax_is_the_cross_entropy_over_labeled_pixels():
    logits, labels = batch()
    assert pixel_loss()(logits, labels).item() == pytest.approx(
        F.cross_entropy(logits, labels.long(), ignore_index=IGNORE).item(), rel=1e-6
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_sigmoid_is_the_binary_cross_entropy_over_one_hot_labels(smoothing):
    logits, labels = batch(ignored=False)
    one_hot = F.one_hot(labels.long(), K).permute(0, 3, 1, 2).float()
    target = one_hot * (1 - smoothing) + smoothing / K
    expected = F.binary_cross_entropy_with_logits(logits, target)
    assert pixel_loss("sigmoid", label_smoothing=smoothing)(logits, labels).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_the_mean_over_all_pixels_counts_ignored_ones(kind):
    logits, labels = batch()
    share = (labels != IGNORE).float().mean().item()
    labeled = pixel_loss(kind)(logits, labels).item()
    assert pixel_loss(kind, reduction="all_pixels")(logits, labels).item() == pytest.approx(labeled * share, rel=1e-5)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("reduction", ["labeled", "all_pixels"])
@pytest.mark.parametrize("ohem", [None, Ohem(threshold=0.7, min_kept=10), Ohem(kept_share=0.3)])
def test_only_ignored_pixels_give_zero_loss_and_zero_gradients(kind, reduction, ohem):
    logits, labels = batch()
    loss = pixel_loss(kind, reduction=reduction, ohem=ohem, class_weights=[1.0] * K)(
        logits, torch.full_like(labels, IGNORE)
    )
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max().item() == 0


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_ignored_pixels_get_no_gradient_and_their_logits_do_not_matter(kind):
    logits, labels = batch()
    loss = pixel_loss(kind)(logits, labels)
    loss.backward()
    ignored = (labels == IGNORE)[:, None].expand_as(logits)
    assert logits.grad[ignored].abs().max().item() == 0
    changed = torch.where(ignored, 100.0, logits.detach())
    assert pixel_loss(kind)(changed, labels).item() == pytest.approx(loss.item(), rel=1e-6)


def test_class_weights_scale_the_pixels_of_their_class():
    logits, labels = batch()
    weights = [0.5, 1.0, 2.0, 0.0, 3.0]
    each = F.cross_entropy(logits, labels.long(), ignore_index=IGNORE, reduction="none")
    factors = torch.tensor([*weights, *[0.0] * 251])[labels.long()]
    expected = (each * factors).sum() / (labels != IGNORE).sum()
    assert pixel_loss(class_weights=weights)(logits, labels).item() == pytest.approx(expected.item(), rel=1e-5)


def test_as_many_class_weights_as_classes_are_needed():
    with pytest.raises(ConfigError, match="3 class weights for 5 classes; pass one per class"):
        pixel_loss(class_weights=[1.0, 2.0, 3.0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_float32(dtype):
    logits, labels = batch()
    logits = (logits.detach() * 40).to(dtype)  # exp of these overflows in half precision
    loss = pixel_loss()(logits, labels)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(pixel_loss()(logits.float(), labels).item(), rel=1e-6)


def test_ohem_by_share_averages_the_highest_losses():
    logits, labels = batch()
    each = F.cross_entropy(logits, labels.long(), ignore_index=IGNORE, reduction="none")[labels != IGNORE]
    hardest = each.sort(descending=True).values[: round(0.25 * len(each))]
    loss = pixel_loss(ohem=Ohem(kept_share=0.25))(logits, labels)
    assert loss.item() == pytest.approx(hardest.mean().item(), rel=1e-5)


@pytest.mark.parametrize("min_kept", [2, 40, 1000])
def test_ohem_by_threshold_keeps_improbable_pixels_and_at_least_the_wanted_number(min_kept):
    logits, labels = batch()
    labeled = labels != IGNORE
    probability = logits.softmax(1).gather(1, labels.long().where(labeled, 0)[:, None])[:, 0][labeled]
    each = F.cross_entropy(logits, labels.long(), ignore_index=IGNORE, reduction="none")[labeled]
    wanted = min(2 * min_kept, len(probability))
    kept = probability <= max(0.15, probability.sort().values[wanted - 1].item())
    loss = pixel_loss(ohem=Ohem(threshold=0.15, min_kept=min_kept))(logits, labels)
    assert loss.item() == pytest.approx(each[kept].mean().item(), rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"min_kept": 3, "kept_share": 0.1}])
def test_ohem_needs_one_of_two_numbers(options):
    with pytest.raises(ConfigError, match=r"either min_kept .* or kept_share"):
        Ohem(threshold=0.7, **options)


def upsample(logits, size_hw):
    return F.interpolate(logits, size_hw, mode="bilinear")


def test_heads_are_weighted_added_and_brought_to_the_labels_size():
    logits, labels = batch()
    small = torch.randn(2, K, 3, 4)
    losses = HeadLosses(pixel_loss(), {"logits": 1.0, "aux_0_logits": 0.4})
    total, parts = losses({"logits": logits, "aux_0_logits": small}, labels, upsample)
    expected = pixel_loss()(logits, labels) + 0.4 * pixel_loss()(upsample(small, (7, 9)), labels)
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert total.requires_grad
    assert not parts["logits"].requires_grad
    assert sum(part.item() for part in parts.values()) == pytest.approx(total.item(), rel=1e-6)


def test_heads_and_weights_must_fit():
    losses = HeadLosses(pixel_loss(), {"logits": 1.0, "aux_0_logits": 0.4})
    losses.check_outputs(["logits", "aux_0_logits"])
    with pytest.raises(ConfigError, match=r"output 'aux_1_logits', but the loss has no weight for it; set loss.head"):
        losses.check_outputs(["logits", "aux_0_logits", "aux_1_logits"])
    with pytest.raises(ConfigError, match=r"loss.head_weights has 'aux_0_logits', but .* it has: logits"):
        losses.check_outputs(["logits"])


def test_balanced_weights_follow_their_formula_and_keep_the_mean():
    counts = np.array([900, 90, 10, 0])
    weights = balanced_class_weights(counts)
    assert weights[2] / weights[0] == pytest.approx(math.log(1.92) / math.log(1.03))
    assert (weights * counts / counts.sum()).sum() == pytest.approx(1)
    assert np.isfinite(weights).all()


def test_presence_is_the_binary_cross_entropy_over_which_classes_occur():
    _, labels = batch()
    labels[1] = IGNORE
    labels[1, 0, 0] = K - 1
    present = torch.tensor([[float((image == c).any()) for c in range(K)] for image in labels])
    logits = torch.randn(2, K, dtype=torch.bfloat16, requires_grad=True)
    expected = F.binary_cross_entropy_with_logits(logits.float(), present)
    loss = SemanticEncodingLoss(ignore_index=IGNORE)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(logits, labels)
    assert (value.dtype, value.item()) == (torch.float32, pytest.approx(expected.item(), rel=1e-6))
    assert present[1].tolist() == [0.0] * (K - 1) + [1.0]


def test_se_logits_have_a_loss_of_their_own():
    logits, labels = batch()
    se_logits = torch.randn(2, K)
    losses = HeadLosses(pixel_loss(), {"logits": 1.0, "se_logits": 0.2})
    total, parts = losses({"logits": logits, "se_logits": se_logits}, labels, lambda logits, _: logits)
    assert parts["se_logits"].item() == pytest.approx(
        0.2 * SemanticEncodingLoss(ignore_index=IGNORE)(se_logits, labels).item(), rel=1e-6
    )
    assert total.item() == pytest.approx(sum(part.item() for part in parts.values()), rel=1e-6)
