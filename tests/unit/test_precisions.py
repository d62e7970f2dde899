"""How many pixels keep their class in bf16 and fp16, measured at export; and images as a network sees them."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from rapidseg.core.progress import NullProgress
from rapidseg.core.spec import ModelSpec
from rapidseg.data import Sample, open_dataset
from rapidseg.evaluation.precision_agreement import agreement
from rapidseg.exporting import precisions
from rapidseg.exporting.network_images import NetworkImages, evenly_spaced
from rapidseg.exporting.precisions import measure_precisions, street_scenes
from rapidseg.runtime import Segmenter
from rapidseg.runtime.engines.openvino import OpenVinoEngine, openvino_computes_in_bf16
from tests.support.block_scenes import write_block_scenes
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx

needs_bf16 = pytest.mark.skipif(not openvino_computes_in_bf16("cpu"), reason="this CPU does not compute in bf16")


class Recorder(NullProgress):
    def __init__(self):
        self.told = []

    def update(self, task, done, total, *, unit="items"):
        self.told.append((task, done, total))


class Fixed:
    """Gives every image the same class map."""

    def __init__(self, class_map: np.ndarray) -> None:
        self.class_map = class_map

    def __call__(self, image, *, input_size):
        return self


@needs_bf16
def test_the_share_of_pixels_that_keep_their_class(tmp_path):
    images = [np.random.default_rng(index).integers(0, 256, (90, 130, 3), dtype=np.uint8) for index in range(2)]
    progress = Recorder()
    measured = measure_precisions(write_tiny_onnx(tmp_path / "tiny.onnx"), tiny_spec(), images, progress=progress)
    assert list(measured) == ["bf16", "fp16"]
    # White noise: many pixels are close to the border of two classes. fp16 keeps three bits more than bf16.
    assert 0.9 < measured["bf16"] < measured["fp16"] < 1
    assert progress.told == [("measuring bf16 and fp16", 1, 2), ("measuring bf16 and fp16", 2, 2)]


def test_what_cannot_be_measured_is_skipped(tmp_path, monkeypatch):
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    assert measure_precisions(path, tiny_spec(), []) == {}
    monkeypatch.setattr(precisions, "openvino_computes_in_bf16", lambda device: False)
    image = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    assert list(measure_precisions(path, tiny_spec(), [image])) == ["fp16"]
    assert measure_precisions(path, tiny_spec(), [image], is_int8=True) == {}  # PyTorch does not run INT8 files


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


def test_samples_are_evenly_spaced_over_the_data_set(tmp_path):
    dataset = open_dataset("cityscapes", write_block_scenes(tmp_path, train=7), "train")
    names = [sample.name for sample in dataset]
    assert [names.index(sample.name) for sample in evenly_spaced(dataset, 3)] == [0, 2, 4]
    assert len(evenly_spaced(dataset, 100)) == 7


@pytest.mark.parametrize(
    ("input_size", "short_side", "expected"),
    [(None, None, (90, 130)), (None, 45, (45, 65)), (60, 45, (60, 87)), ((64, 80), 45, (64, 80))],
)
def test_images_are_shown_to_the_network_as_in_prediction(input_size, short_side, expected, tmp_path):
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    spec = ModelSpec.model_validate(tiny_spec().model_dump() | {"input_short_side": short_side})
    sample = Sample(np.zeros((90, 130, 3), np.uint8), np.zeros((90, 130), np.uint8), "sample")
    prepared = NetworkImages(spec, [sample], input_size).prepare(sample)
    segmenter = Segmenter(OpenVinoEngine(path, spec, precision="float32", device="cpu", cache=False), spec, path)
    assert prepared.shape == (1, *segmenter(sample.image, input_size=input_size).input_size_hw, 3)
    assert abs(prepared.shape[1] - expected[0]) <= spec.stride
