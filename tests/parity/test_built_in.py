"""The models in the package do what their specifications and their page say."""

import re
from pathlib import Path

import numpy as np
import pytest

import rapidseg
from rapidseg.core.labels import CAMVID, CITYSCAPES_TO_CAMVID
from rapidseg.data import open_dataset
from rapidseg.evaluation import ConfusionMatrix, score
from rapidseg.exporting.int8.quantization import MAX_DROP
from rapidseg.imaging import read_image
from rapidseg.recipes import current_name
from rapidseg.runtime.model_file import BUILT_IN_MODELS, SAMPLE_IMAGE, find_model, read_spec
from rapidseg.scenes import draw_scene

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models" / "fast-scnn-camvid.md"


@pytest.fixture(scope="module", params=BUILT_IN_MODELS)
def segmenter(request):
    return rapidseg.load(request.param)


def test_it_says_everything_that_must_be_known(segmenter):
    spec = segmenter.spec
    assert (spec.architecture, spec.labels) == ("fast-scnn", CAMVID)
    assert spec.dataset
    assert spec.checksum
    assert "CC BY-NC 4.0" in spec.license
    assert current_name("fast-scnn_camvid") == "camvid/fast-scnn"
    assert "fast-scnn_camvid" in spec.source  # the name of its recipe when the file was written
    (stated,) = spec.scores
    assert f"{stated.mean_iou:.3f}" in PAGE.read_text(encoding="utf-8")


def test_it_has_the_score_that_it_states(segmenter, camvid_root):
    (stated,) = segmenter.spec.scores
    evaluation = score(segmenter.class_map, open_dataset("camvid", camvid_root, stated.split))
    # Trained and scored in PyTorch, run here in OpenVINO: single pixels on borders between classes differ.
    assert evaluation.scores.mean_iou == pytest.approx(stated.mean_iou, abs=1e-3)
    assert evaluation.scores.pixel_accuracy == pytest.approx(stated.pixel_accuracy, abs=1e-3)


def test_it_reads_the_built_in_sample(segmenter):
    result = segmenter(read_image(SAMPLE_IMAGE))
    script = (Path(__file__).resolve().parents[2] / "scripts" / "draw_sample.py").read_text(encoding="utf-8")
    seed, scene = re.search(r"SEED, SCENE, SIZE_HW = (\d+), (\d+)", script).groups()
    label = draw_scene(int(seed), int(scene), result.class_map.shape).label
    table = np.full(256, CAMVID.ignore_index, np.uint8)
    table[: len(CITYSCAPES_TO_CAMVID)] = CITYSCAPES_TO_CAMVID
    matrix = ConfusionMatrix(CAMVID.num_classes, CAMVID.ignore_index)
    matrix.update(result.class_map, table[label])
    assert matrix.scores().pixel_accuracy > 0.8


def test_the_int8_twin_is_smaller_and_of_the_same_weights():
    float32, int8 = (find_model(name) for name in BUILT_IN_MODELS)
    assert int8.stat().st_size < float32.stat().st_size / 3
    spec = read_spec(int8)
    assert spec.checksum == read_spec(float32).checksum
    assert spec.quantization.mean_iou_float32 - spec.quantization.mean_iou <= MAX_DROP / 100
    assert f"{100 * (spec.quantization.mean_iou_float32 - spec.quantization.mean_iou):.2f} points" in PAGE.read_text(
        encoding="utf-8"
    )
