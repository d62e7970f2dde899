"""The protocols against the published test-time augmentation, and against plain PyTorch."""

import importlib.util

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rapidseg.evaluation import MultiScale, SlidingWindow, predict_multi_scale
from rapidseg.imaging import resize_image
from rapidseg.models import create_model
from rapidseg.runtime import Segmenter

# The same operations in float32; sums of a network's logits and of the views are ordered otherwise.
ROUNDING = 1e-4


@pytest.fixture(scope="module", params=[False, True], ids=["half-pixel", "align-corners"])
def model(request):
    torch.manual_seed(0)
    model = create_model("fast-scnn", num_classes=7, width=0.25)
    model.spec = model.spec.model_copy(update={"align_corners": request.param})
    with torch.no_grad():  # fills the running averages, so that classes differ between pixels
        model(torch.randn(4, 3, 128, 192))
    return model.eval()


@pytest.fixture(scope="module")
def image():
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return resize_image(coarse, (99, 198))


def network(model, image, *sizes_hw):
    """Returns (K, H, W) logits of a uint8 image, brought from size to size by PyTorch."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.spec.mean, model.spec.std))
    with torch.inference_mode():
        logits = model(((torch.from_numpy(image.copy()).permute(2, 0, 1) - mean) / std)[None])
        for size_hw in sizes_hw:
            align_corners = model.spec.align_corners
            logits = F.interpolate(logits, size_hw, mode="bilinear", align_corners=align_corners)
    return logits[0]


def test_the_published_multi_scale_and_flip(parity_dir):
    spec = importlib.util.spec_from_file_location("check", parity_dir / "check.py")
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    assert check.check_multi_scale(parity_dir / "protocol" / "ms_flip.json", parity_dir) == []


def test_multi_scale_is_the_mean_of_softmaxes(model, image):
    # Scale 0.75 of 99x198 is 74.25x148.5: rounded to 74x149, and 74x148 once the image's shape is kept.
    views_hw = {0.5: (50, 99), 0.75: (74, 148), 1.5: (149, 297)}
    size_hw = image.shape[:2]
    expected = torch.zeros(7, *size_hw)
    for view_hw in views_hw.values():
        view = resize_image(image, view_hw)
        expected += network(model, view, view_hw, size_hw).softmax(0)
        expected += network(model, view[:, ::-1], view_hw, size_hw).flip(2).softmax(0)
    expected /= 6
    for given in (model, Segmenter.from_model(model)):
        probabilities = predict_multi_scale(given, image, scales=list(views_hw), flip=True)
        np.testing.assert_allclose(probabilities, expected.numpy(), atol=ROUNDING)
    class_map = MultiScale(Segmenter.from_model(model), tuple(views_hw))(image)
    np.testing.assert_array_equal(class_map, probabilities.argmax(0))


def test_a_model_in_training_is_seen_in_evaluation_mode_and_put_back(model, image):
    expected = predict_multi_scale(model, image, scales=(1.0,))
    model.train()
    np.testing.assert_allclose(predict_multi_scale(model, image, scales=(1.0,)), expected, atol=ROUNDING)
    assert model.training
    model.eval()


def test_sliding_windows_are_averaged_where_they_overlap(model, image):
    total, windows = torch.zeros(7, 99, 198), torch.zeros(99, 198)
    for top in (0, 35):  # 64 high, every 40: the second begins at 40 and is moved back inside
        for left in (0, 64, 102):  # 96 wide, every 64: the third begins at 128 and is moved back inside
            crop = image[top : top + 64, left : left + 96]
            total[:, top : top + 64, left : left + 96] += network(model, crop, (64, 96))
            windows[top : top + 64, left : left + 96] += 1
    expected = (total / windows).argmax(0).numpy()
    class_map = SlidingWindow(Segmenter.from_model(model), (64, 96), (40, 64))(image)
    assert len(np.unique(class_map)) > 1
    assert (class_map == expected).mean() > 0.999  # ties apart
