"""The labels of Cityscapes, and the categories that scores are computed of."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from rapidseg.core.cityscapes_labels import CITYSCAPES_CLASSES, CITYSCAPES_LABELS
from rapidseg.core.labels import CAMVID, CITYSCAPES, LabelSet
from rapidseg.evaluation import ConfusionMatrix, Evaluation
from rapidseg.metrics import merge_counts


def test_labels_are_counted_through_and_classes_are_in_the_order_of_their_train_ids():
    assert [label.id for label in CITYSCAPES_LABELS] == [*range(34), -1]
    assert [label.train_id for label in CITYSCAPES_CLASSES] == list(range(19))
    assert sum(label.has_instances for label in CITYSCAPES_LABELS) == 10


def test_the_benchmark_has_seven_categories():
    assert CITYSCAPES.category_names == ("flat", "construction", "object", "nature", "sky", "human", "vehicle")
    assert CAMVID.category_names == ()


def test_one_category_per_class():
    with pytest.raises(ValidationError, match=r"2 class names but 1 categories; pass one per class"):
        LabelSet(names=("a", "b"), palette=((0, 0, 0), (1, 1, 1)), categories=("c",))


def test_merged_counts_add_rows_and_columns():
    counts = np.arange(9).reshape(3, 3)
    assert merge_counts(counts, ("x", "y", "x")).tolist() == [[0 + 2 + 6 + 8, 1 + 7], [3 + 5, 4]]


def scored(labels, counts):
    matrix = ConfusionMatrix(labels.num_classes, labels.ignore_index)
    matrix.counts[...] = counts
    return Evaluation(labels, matrix, matrix.scores(), ())


def test_a_car_taken_for_a_truck_is_right_in_the_category():
    counts = np.zeros((19, 19), np.int64)
    counts[13, [13, 14]] = 3, 7
    counts[0, [0, 13]] = 8, 2
    evaluation = scored(CITYSCAPES, counts)
    assert evaluation.scores.iou[[0, 13, 14]].tolist() == [8 / 10, 3 / 12, 0]
    np.testing.assert_array_equal(evaluation.category_scores.iou, [0.8, *[np.nan] * 5, 10 / 12])
    document = evaluation.to_dict()
    assert document["mean_category_iou"] == pytest.approx((0.8 + 10 / 12) / 2)
    assert document["categories"][4] == {"name": "sky", "iou": None, "accuracy": None}


def test_no_categories_no_scores_of_them():
    evaluation = scored(CAMVID, np.eye(11, dtype=np.int64))
    assert evaluation.category_scores is None
    document = evaluation.to_dict()
    assert (document["mean_category_iou"], document["categories"]) == (None, [])
