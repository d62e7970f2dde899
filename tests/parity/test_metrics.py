"""Scores against what mmsegmentation's IoUMetric computes for the same arrays."""

import json

import numpy as np
import pytest

from rapidseg.evaluation import ConfusionMatrix

TOLERANCE = 1e-5  # the reference was computed in float32, ours in float64


@pytest.fixture
def reference(parity_dir):
    return json.loads((parity_dir / "protocol" / "metrics.json").read_text())


def test_scores_equal_the_published_implementation(reference, parity_dir):
    arrays = np.load(parity_dir / "protocol" / "metrics.npz")
    matrix = ConfusionMatrix(num_classes=reference["num_classes"], ignore_index=reference["ignore_index"])
    for prediction, label in zip(arrays["predictions"], arrays["labels"], strict=True):
        matrix.update(prediction, label)
    scores = matrix.scores()

    def expected(values):
        return np.array([np.nan if value is None else value for value in values])

    np.testing.assert_allclose(scores.iou, expected(reference["results"]["IoU"]), atol=TOLERANCE)
    np.testing.assert_allclose(scores.accuracy, expected(reference["results"]["Acc"]), atol=TOLERANCE)
    means = [scores.mean_iou, scores.mean_accuracy, scores.pixel_accuracy]
    np.testing.assert_allclose(means, [reference["mIoU"], reference["mAcc"], reference["aAcc"]], atol=TOLERANCE)
