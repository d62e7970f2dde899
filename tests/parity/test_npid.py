"""Instance discrimination against what the published training script computes, in float64, for two steps."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from rapidseg.pretraining import InstanceDiscrimination, knn_scores, load_encoder

LOSS = 1e-5  # relative; float32 rows of the bank against float64
BANK = 1e-6  # relative; one rounding of float32
VOTES = 1e-4  # relative; similarities in float32, divided by 0.1 and exponentiated
FEATURES = 2e-4  # relative to the largest, as for all networks: two orders of the same sums differ by less


@pytest.fixture(scope="module")
def meta(parity_dir):
    return json.loads((parity_dir / "protocol" / "npid.json").read_text())


@pytest.fixture(scope="module")
def reference(parity_dir):
    return np.load(parity_dir / "protocol" / "npid.npz")


def task_of(meta, bank):
    names = ("num_images", "feature_dim", "num_negatives", "temperature", "momentum")
    task = InstanceDiscrimination(**{name: meta[name] for name in names})
    task.bank = torch.from_numpy(bank.copy())
    return task


def assert_close(ours, theirs, tolerance):
    theirs = np.asarray(theirs, np.float64)
    assert np.abs(np.asarray(ours, np.float64) - theirs).max() <= tolerance * np.abs(theirs).max()


def step(task, reference, number):
    features = torch.from_numpy(reference[f"features_{number}"]).requires_grad_()
    indices = torch.from_numpy(reference[f"indices_{number}"])
    loss = task.loss(features, indices, torch.from_numpy(reference[f"negatives_{number}"]))
    loss.backward()
    task.update(features.detach(), indices)
    assert_close(loss.item(), reference[f"loss_{number}"], LOSS)
    assert_close(task.z, reference["z"], LOSS)
    assert_close(features.grad, reference[f"gradient_{number}"], VOTES)
    assert_close(task.bank, reference[f"bank_{number}"], BANK)


def test_two_steps(meta, reference):
    task = task_of(meta, reference["bank"])
    for number in (0, 1):
        step(task, reference, number)


def test_the_second_step_after_a_save_and_load(meta, reference, tmp_path):
    task = task_of(meta, reference["bank"])
    step(task, reference, 0)
    torch.save(task.state_dict(), tmp_path / "state.pt")
    loaded = task_of(meta, reference["bank"])
    loaded.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    step(loaded, reference, 1)


def test_votes_of_the_nearest_neighbors(meta, reference):
    queries, bank, labels = (torch.from_numpy(reference[f"knn_{name}"]) for name in ("queries", "bank", "labels"))
    options = {name: meta[name] for name in ("k", "temperature", "num_classes")}
    assert_close(knn_scores(queries, bank, labels, **options), reference["knn_scores"], VOTES)


def test_the_published_resnet18(meta, reference, tmp_path, check):
    images = np.random.RandomState(meta["seed"]).standard_normal(meta["resnet18"]["input"]).astype(np.float32)
    weights = {"state_dict": meta["resnet18"]["state_dict"], "seed": meta["seed"], "source": "leftthomas/NPID"}
    torch.save(check.checkpoint(weights), tmp_path / "128_model.pth")
    encoder = load_encoder(tmp_path / "128_model.pth")
    with torch.inference_mode():
        assert_close(encoder(torch.from_numpy(images)), reference["resnet18_output"], FEATURES)
    encoder.save(tmp_path / "encoder.safetensors")
    with torch.inference_mode():
        ours = load_encoder(tmp_path / "encoder.safetensors")(torch.from_numpy(images))
        assert torch.equal(ours, encoder(torch.from_numpy(images)))
