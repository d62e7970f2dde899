"""What is measured of bf16 and fp16 when a file is exported."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from rapidseg.core.spec import ModelSpec
from rapidseg.data import open_dataset
from rapidseg.exporting import precisions
from rapidseg.exporting.precisions import agreement, evenly_spaced, measure_precisions, prepare, street_scenes
from rapidseg.runtime.engines.openvino import computes_in_bf16
from tests.support.block_scenes import write_block_scenes
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx

needs_bf16 = pytest.mark.skipif(not computes_in_bf16("cpu"), reason="this CPU does not compute in bf16")


class Fixed:
    """Gives every image one class map."""

    def __init__(self, class_map: np.ndarray) -> None:
        self.class_map = class_map

    def __call__(self, image, *, input_size):
        return self


@needs_bf16
def test_the_share_of_pixels_that_keep_their_class(tmp_path):
    images = [np.random.default_rng(index).integers(0, 256, (90, 130, 3), dtype=np.uint8) for index in range(2)]
    told = []
    measured = measure_precisions(
        write_tiny_onnx(tmp_path / "tiny.onnx"), tiny_spec(), images, progress=lambda *at: told.append(at)
    )
    assert list(measured) == ["bf16", "fp16"]
    # White noise: many pixels are close to the border of two classes. fp16 keeps three bits more than bf16.
    assert 0.9 < measured["bf16"] < measured["fp16"] < 1
    assert told == [(1, 2), (2, 2)]


def test_what_cannot_be_measured_is_left_out(tmp_path, monkeypatch):
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    assert measure_precisions(path, tiny_spec(), []) == {}
    monkeypatch.setattr(precisions, "computes_in_bf16", lambda device: False)
    image = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    assert list(measure_precisions(path, tiny_spec(), [image])) == ["fp16"]
    assert measure_precisions(path, tiny_spec(), [image], is_int8=True) == {}  # PyTorch runs no INT8


def test_what_is_too_large_for_fp16_shows(tmp_path):
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    file = onnx.load(path)
    (weights,) = (tensor for tensor in file.graph.initializer if tensor.name == "weights")
    weights.CopyFrom(numpy_helper.from_array(1e5 * numpy_helper.to_array(weights), "weights"))
    onnx.save(file, path)
    image = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    assert measure_precisions(path, tiny_spec(), [image])["fp16"] < 0.5


def test_pixels_count_alike_in_images_of_all_sizes():
    first, second = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    second[0] = 1
    images = [np.zeros((4, 5, 3), np.uint8)] * 3
    assert agreement(Fixed(first), {"a": Fixed(second), "b": Fixed(first)}, images) == {"a": 0.75, "b": 1}


def test_scenes_are_drawn_once_and_look_like_streets():
    scenes = street_scenes()
    assert [scene.shape for scene in scenes] == [(512, 1024, 3)] * 4 + [(640, 1280, 3)]
    assert all(scene.dtype == np.uint8 and scene.std() > 20 for scene in scenes)
    assert street_scenes() is scenes


def test_samples_are_spread_over_the_data_set(tmp_path):
    dataset = open_dataset("cityscapes", write_block_scenes(tmp_path, train=7), "train")
    places = [next(place for place in range(7) if dataset[place].name == one.name) for one in evenly_spaced(dataset, 3)]
    assert places == [0, 2, 4]
    assert len(evenly_spaced(dataset, 100)) == 7


@pytest.mark.parametrize(
    ("input_size", "short_side", "expected"),
    [(None, None, (90, 130)), (None, 45, (45, 65)), (60, 45, (60, 87)), ((64, 80), 45, (64, 80))],
)
def test_images_are_shown_to_the_network_as_in_prediction(input_size, short_side, expected):
    import rapidseg.runtime.segmenter as segmenter

    spec = ModelSpec.model_validate(tiny_spec().model_dump() | {"input_short_side": short_side})
    image = np.zeros((90, 130, 3), np.uint8)
    prepared = prepare(image, spec, input_size)
    wanted = spec.input_short_side if input_size is None else input_size
    assert prepared.shape[:2] == segmenter.input_size_hw((90, 130), wanted, spec.stride)
    assert abs(prepared.shape[0] - expected[0]) <= spec.stride
