"""`rapidseg eval --submission`: what the benchmark of Cityscapes takes, and the score that it gives."""

from __future__ import annotations

import json

import pytest

from rapidseg.core.labels import CITYSCAPES
from tests.support.data_folders import write_camvid, write_image
from tests.support.official_scripts import NEEDS_SCRIPTS, evaluate_officially
from tests.support.polygon_files import SIZE_HW, street, write_polygons
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx


@pytest.fixture
def cityscapes(rapidseg, tmp_path):
    for index in range(2):
        name = f"ulm/ulm_{index:06}_000019"
        write_polygons(tmp_path / "cs", street(40 + index), name, split="val")
        write_image(tmp_path / "cs/leftImg8bit/val" / f"{name}_leftImg8bit.png", SIZE_HW, seed=index)
    assert rapidseg("data", "prepare", "cityscapes", "cs", "--workers", 1)[0] == 0
    write_tiny_onnx(tmp_path / "model.onnx", tiny_spec(CITYSCAPES))
    return tmp_path / "cs"


@NEEDS_SCRIPTS
def test_the_official_score_is_the_one_that_is_printed(rapidseg, tmp_path, cityscapes):
    words = ["--data", "cityscapes", "--root", "cs", "--submission", "out", "--json"]
    status, output, error = rapidseg("eval", "model.onnx", *words)
    assert (status, error) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "ulm_000000_000019_pred_labelIds.png",
        "ulm_000001_000019_pred_labelIds.png",
    ]
    ours = json.loads(output)
    theirs = evaluate_officially(cityscapes, tmp_path / "out")
    assert len({entry["iou"] for entry in ours["classes"]}) > 2
    # The same two integers are divided; means may differ in the order of their sum.
    for entry in ours["classes"]:
        assert entry["iou"] == pytest.approx(theirs["classScores"][entry["name"]], abs=1e-12)
    assert ours["mean_category_iou"] == pytest.approx(theirs["averageScoreCategories"], abs=1e-12)


def test_the_categories_are_printed(rapidseg, cityscapes):
    output = rapidseg("eval", "model.onnx", "--data", "cityscapes", "--root", "cs")[1]
    assert "category construction" in output
    assert "mean of the categories" in output


def test_only_data_of_cityscapes_can_be_submitted(rapidseg, tmp_path):
    write_camvid(tmp_path / "camvid")
    write_tiny_onnx(tmp_path / "model.onnx")
    words = ["--data", "camvid", "--root", "camvid", "--submission", "out"]
    status, output, error = rapidseg("eval", "model.onnx", *words)
    assert (status, output) == (2, "")
    assert "a submission consists of label ids of Cityscapes, so it can be written for its 19 classes only" in error
    assert not (tmp_path / "out").exists()
