"""Details of single networks and of their files."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from rapidseg.core.errors import ModelFileError
from rapidseg.core.spec import SPEC_KEY
from rapidseg.models import count_macs, count_parameters, create_model, load_model, save_model
from rapidseg.models.layers import averaging_matrix


# The counts of the published networks stand in the reference outputs (1,137,539 for leftthomas's, and with auxiliary
# heads 1,456,617 for OpenMMLab's). The paper says 1.11 million.
@pytest.mark.parametrize(
    ("variant", "parameters", "with_heads"),
    [
        ("paper", 1_137_795, 1_137_795),
        ("openmmlab", 1_399_939, 1_456_617),
        ("tramac", 1_138_051, 1_138_051),
        ("leftthomas", 1_137_539, 1_137_539),
    ],
)
def test_fast_scnn_has_the_published_number_of_parameters(variant, parameters, with_heads):
    model = create_model("fast-scnn", 19, variant=variant)
    assert count_parameters(model) == parameters
    assert count_parameters(model, aux_heads=True) == with_heads


def test_fast_scnn_multiply_accumulates():
    # First convolution alone: 512 x 1024 outputs, 32 filters, 27 taps.
    model = create_model("fast-scnn", 19)
    total = count_macs(model, (1024, 2048))
    assert total > 512 * 1024 * 32 * 27
    assert total == 6_709_649_408


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@pytest.mark.parametrize("size_hw", [(32, 64), (1, 1), (2, 5), (7, 13), (6, 6)])
def test_averaging_matrices_are_adaptive_pooling(size_hw, bins):
    x = torch.randn(2, 3, *size_hw)
    ours = averaging_matrix(size_hw[0], [bins], x) @ (x @ averaging_matrix(size_hw[1], [bins], x).T)
    theirs = torch.nn.functional.adaptive_avg_pool2d(x, bins)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)  # other order of the same sums


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    save_model(create_model("fast-scnn", 3, width=0.25), path)
    return path


def test_a_cut_file_is_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="not a readable safetensors file"):
        load_model(saved)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="no such file"):
        load_model(tmp_path / "none.safetensors")


def test_a_file_without_specification_is_refused(saved):
    save_file(load_file(saved), saved)
    with pytest.raises(ModelFileError, match="no rapidseg model specification; convert it with `rapidseg import`"):
        load_model(saved)


def test_changed_weights_do_not_match_their_checksum(saved):
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    with pytest.raises(ModelFileError, match="do not match their checksum"):
        load_model(saved)


def test_tensors_that_do_not_fit_are_listed(saved):
    state = load_file(saved)
    spec = load_model(saved).spec
    state["stranger"] = state.pop("classifier.3.bias")
    state["classifier.3.weight"] = state["classifier.3.weight"][:2]
    save_file(state, saved, metadata={SPEC_KEY: spec.to_json()})
    with pytest.raises(ModelFileError) as caught:
        load_model(saved)
    message = str(caught.value)
    assert "1 missing: classifier.3.bias" in message
    assert "1 unexpected: stranger" in message
    assert "1 misshapen: classifier.3.weight (2, 32, 1, 1) instead of (3, 32, 1, 1)" in message


def test_a_broken_specification_is_refused(saved):
    spec = json.loads(load_model(saved).spec.to_json())
    spec["stride"] = 0
    save_file(load_file(saved), saved, metadata={SPEC_KEY: json.dumps(spec)})
    with pytest.raises(ModelFileError, match="stride should be greater than or equal to 1, not 0"):
        load_model(saved)
