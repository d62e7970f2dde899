"""A PyTorch model in memory, through the same path as a model file."""

import copy

import numpy as np
import pytest
import torch

from rapidseg.core.errors import InputError
from rapidseg.models import create_model
from rapidseg.runtime import Segmenter

ROUNDING = 1e-5  # logits are about 1; convolutions order their sums by the memory layout of the image


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = create_model("fast-scnn", num_classes=7, width=0.25)
    with torch.no_grad():  # fills the running averages, so that classes differ between pixels
        model(torch.randn(4, 3, 128, 192))
    return model.eval()


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8)


def test_logits_and_class_map_equal_those_of_the_model(model, image):
    segmenter = Segmenter.from_model(model)
    assert (segmenter.engine.name, segmenter.engine.precision, segmenter.engine.device) == ("torch", "float32", "cpu")
    assert (segmenter.spec, segmenter.path) == (model.spec, None)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.spec.mean, model.spec.std))
    normalized = (torch.from_numpy(image).permute(2, 0, 1) - mean) / std
    with torch.inference_mode():
        logits = model(normalized[None])
    np.testing.assert_allclose(segmenter.logits(image), logits[0].numpy(), atol=ROUNDING)
    expected = model.upsample(logits, image.shape[:2])[0].argmax(0).numpy()
    assert (segmenter.class_map(image) == expected).mean() > 0.999  # ties apart


def test_every_module_returns_to_its_own_mode(model, image):
    model.train()
    frozen = next(module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)).eval()
    means = frozen.running_mean.clone()
    modes = [module.training for module in model.modules()]
    segmenter = Segmenter.from_model(model)
    first = segmenter.logits(image)
    np.testing.assert_allclose(segmenter.logits(image), first, atol=ROUNDING)  # in evaluation mode nothing moves
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(frozen.running_mean, means)
    with pytest.raises(InputError, match="images must be at least 32x32"):
        segmenter.logits(image[:16, :16])
    assert [module.training for module in model.modules()] == modes
    model.eval()


def test_images_may_be_views_and_read_only(model, image):
    segmenter = Segmenter.from_model(model)
    expected = segmenter.logits(image)
    image.setflags(write=False)
    np.testing.assert_allclose(segmenter.logits(image), expected, atol=ROUNDING)
    flipped = np.ascontiguousarray(image[:, ::-1])
    np.testing.assert_allclose(segmenter.logits(flipped[:, ::-1]), expected, atol=ROUNDING)
    assert segmenter(image, input_size=(64, 96)).input_size_hw == (64, 96)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA GPU")
def test_a_model_on_a_gpu_runs_there(model, image):
    expected = Segmenter.from_model(model).logits(image)
    segmenter = Segmenter.from_model(copy.deepcopy(model).cuda())
    assert segmenter.engine.device.startswith("cuda")
    # Convolutions on GPUs may round their factors to TF32, which has 10 bits.
    np.testing.assert_allclose(segmenter.logits(image), expected, atol=1e-2)


def test_rejects_what_is_not_a_model():
    with pytest.raises(InputError, match="the PyTorch engine runs a SegmentationModel, not str"):
        Segmenter.from_model("model.onnx")


def test_a_tensor_gives_tensors_and_the_same_class_map(model, image):
    segmenter = Segmenter.from_model(model)
    result = segmenter(torch.from_numpy(image), confidence=True)
    assert isinstance(result.class_map, torch.Tensor)
    assert isinstance(result.confidence, torch.Tensor)
    np.testing.assert_array_equal(result.class_map.numpy(), segmenter(image).class_map)
    (batched,) = segmenter.batch([torch.from_numpy(image)])
    assert isinstance(batched.class_map, torch.Tensor)
