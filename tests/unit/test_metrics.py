import warnings

import numpy as np
import pytest

from rapidseg.core.errors import InputError
from rapidseg.metrics import ConfusionMatrix


def matrix_of(prediction, label, num_classes=3, ignore_index=255):
    matrix = ConfusionMatrix(num_classes, ignore_index)
    matrix.update(np.array(prediction, np.uint8), np.array(label, np.uint8))
    return matrix


def test_scores_of_a_worked_example():
    # label 0 four times (three right), label 1 twice (one right), class 2 only predicted
    scores = matrix_of([[0, 0, 0, 1], [1, 2, 2, 0]], [[0, 0, 0, 0], [1, 1, 255, 255]]).scores()
    np.testing.assert_allclose(scores.iou, [3 / 4, 1 / 3, 0])
    np.testing.assert_allclose(scores.accuracy, [3 / 4, 1 / 2, np.nan])
    assert scores.mean_iou == pytest.approx((3 / 4 + 1 / 3) / 3)
    assert scores.mean_accuracy == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert scores.pixel_accuracy == pytest.approx(4 / 6)
    assert scores.iou.dtype == scores.accuracy.dtype == np.float64


def test_rows_are_labels_and_columns_predictions():
    assert matrix_of([[1, 1, 2]], [[0, 0, 1]]).counts.tolist() == [[0, 2, 0], [0, 0, 1], [0, 0, 0]]


def test_a_class_that_occurs_nowhere_is_nan_and_does_not_count_in_the_means():
    scores = matrix_of([[0, 1]], [[0, 1]]).scores()
    np.testing.assert_array_equal(scores.iou, [1, 1, np.nan])
    assert (scores.mean_iou, scores.mean_accuracy, scores.pixel_accuracy) == (1, 1, 1)


def test_nothing_counted_gives_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = ConfusionMatrix(3).scores()
    assert np.isnan([scores.mean_iou, scores.mean_accuracy, scores.pixel_accuracy, *scores.iou]).all()


def test_undefined_figures_are_none_for_json():
    document = matrix_of([[0, 0]], [[0, 0]]).scores().to_dict(("a", "b", "c"))
    assert document["mean_iou"] == 1
    assert document["classes"][1] == {"name": "b", "iou": None, "accuracy": None}


def test_wide_integers_and_batches_count_like_single_images():
    prediction, label = np.array([[[0, 1]], [[2, 0]]]), np.array([[[0, 2]], [[2, 255]]], np.uint16)
    wide = ConfusionMatrix(3)
    wide.update(prediction, label)
    single = matrix_of(prediction[0], label[0]) + matrix_of(prediction[1], label[1])
    assert np.array_equal(wide.counts, single.counts)


def test_an_ignored_pixel_may_hold_any_prediction():
    assert matrix_of([[0, 200]], [[0, 255]]).counts.sum() == 1


@pytest.mark.parametrize(
    ("prediction", "label", "message"),
    [
        (
            [[0, 0]],
            [[0, 7]],
            r"the label contains the value 7 \(1 pixels\); 0 to 2 are allowed, and 255 for ignored pixels",
        ),
        (
            [[0, 5]],
            [[0, 1]],
            r"the prediction contains the value 5 \(1 pixels\); 0 to 2 are allowed wherever the label",
        ),
        ([[255, 0]], [[0, 1]], r"the prediction contains the value 255 \(1 pixels\)"),
        ([[0, 0, 0, 0, 0, 0]], [[3, 4, 5, 6, 7, 8]], "and 1 other values"),
        ([[0, 1]], [[0], [1]], r"the prediction has shape \(1, 2\) and the label \(2, 1\); resize the prediction"),
    ],
)
def test_values_and_shapes_that_cannot_be_scored_are_refused_and_not_counted(prediction, label, message):
    matrix = ConfusionMatrix(3)
    with pytest.raises(InputError, match=message):
        matrix.update(np.array(prediction, np.uint8), np.array(label, np.uint8))
    assert matrix.counts.sum() == 0


@pytest.mark.parametrize(("value", "named"), [(-1, "-1"), (7000, "7000")])
def test_values_that_are_no_byte_are_named(value, named):
    with pytest.raises(InputError, match=f"the label contains the value {named}; 0 to 2 are allowed"):
        ConfusionMatrix(3).update(np.zeros((1, 2), np.int32), np.array([[0, value]], np.int32))


def test_arrays_that_are_not_of_integers_are_refused():
    with pytest.raises(InputError, match="the prediction is an array of float32; pass integer class ids"):
        ConfusionMatrix(3).update(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1,), "num_classes is 1; a confusion matrix supports 2 to 255"),
        ((256,), "num_classes is 256"),
        ((3, 2), "ignore_index is 2; with 3 classes it must be 3 to 255"),
        ((3, 256), "ignore_index is 256"),
    ],
)
def test_impossible_classes_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        ConfusionMatrix(*arguments)


def test_matrices_of_different_label_sets_do_not_add():
    with pytest.raises(
        InputError, match="cannot add confusion matrices of 3 classes with ignore_index 255 and of 4 classes"
    ):
        ConfusionMatrix(3) + ConfusionMatrix(4)
