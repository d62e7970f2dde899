"""A submission gets the scores from the official evaluation of Cityscapes that ours gives it."""

from __future__ import annotations

import numpy as np
import pytest

from rapidseg.data import open_dataset
from rapidseg.data.cityscapes_preparation import prepare_cityscapes
from rapidseg.evaluation import SubmissionWriter, score
from tests.support.data_folders import write_image
from tests.support.official_scripts import NEEDS_SCRIPTS, evaluate_officially
from tests.support.polygon_files import SIZE_HW, street, write_polygons

pytestmark = NEEDS_SCRIPTS


def test_a_submission_is_scored_by_the_official_evaluation_as_by_ours(tmp_path):
    for index in range(3):
        name = f"ulm/ulm_{index:06}_000019"
        write_polygons(tmp_path, street(20 + index), name, split="val")
        write_image(tmp_path / "leftImg8bit/val" / f"{name}_leftImg8bit.png", SIZE_HW, seed=index)
    prepare_cityscapes(tmp_path)
    dataset = open_dataset("cityscapes", tmp_path, "val")
    labels = iter([sample.label for sample in dataset])
    rng = np.random.default_rng(0)

    def predict(image: np.ndarray) -> np.ndarray:
        """Right, but for some pixels of scored and of ignored labels; no train is ever predicted."""
        label = next(labels)
        wrong = (rng.random(label.shape) < 0.4) | (label == 255) | (label == 16)
        return np.where(wrong, rng.integers(0, 16, label.shape), label).astype(np.uint8)

    evaluation = score(predict, dataset, observers=[SubmissionWriter(tmp_path / "submission", dataset.labels)])
    theirs = evaluate_officially(tmp_path, tmp_path / "submission")
    ours = evaluation.to_dict()
    # The same two integers are divided; means may differ in the order of their sum.
    for entry in ours["classes"]:
        assert entry["iou"] == pytest.approx(theirs["classScores"][entry["name"]], abs=1e-12)
    for entry in ours["categories"]:
        assert entry["iou"] == pytest.approx(theirs["categoryScores"][entry["name"]], abs=1e-12)
    assert 0.1 < ours["mean_iou"] < 0.9
    assert ours["mean_iou"] == pytest.approx(theirs["averageScoreClasses"], abs=1e-12)
    assert ours["mean_category_iou"] == pytest.approx(theirs["averageScoreCategories"], abs=1e-12)
