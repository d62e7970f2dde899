"""What holds for confusion matrices of any pictures."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rapidseg.metrics import ConfusionMatrix

NUM_CLASSES = 5
IGNORED = 9
shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)


@st.composite
def pictures(draw):
    shape = draw(shapes)
    prediction = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, NUM_CLASSES - 1)))
    label = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([*range(NUM_CLASSES), IGNORED])))
    return prediction, label


def matrix_of(prediction, label):
    matrix = ConfusionMatrix(NUM_CLASSES, IGNORED)
    matrix.update(prediction, label)
    return matrix


@given(pictures())
def test_counts_equal_the_plain_way(picture):
    prediction, label = picture
    counts = np.zeros((NUM_CLASSES, NUM_CLASSES), int)
    for predicted, labeled in zip(prediction.flat, label.flat, strict=True):
        if labeled != IGNORED:
            counts[labeled, predicted] += 1
    assert np.array_equal(matrix_of(*picture).counts, counts)


@given(pictures(), st.data())
def test_matrices_of_parts_add_up_to_the_whole(picture, data):
    prediction, label = picture
    row = data.draw(st.integers(0, len(label)))
    parts = matrix_of(prediction[:row], label[:row]) + matrix_of(prediction[row:], label[row:])
    assert np.array_equal(parts.counts, matrix_of(*picture).counts)


@given(pictures(), st.data())
def test_ignored_pixels_never_count(picture, data):
    prediction, label = picture
    other = data.draw(hnp.arrays(np.uint8, label.shape))
    changed = np.where(label == IGNORED, other, prediction)
    assert np.array_equal(matrix_of(changed, label).counts, matrix_of(*picture).counts)


@given(pictures())
def test_scores_are_fractions_and_iou_never_exceeds_accuracy(picture):
    scores = matrix_of(*picture).scores()
    both = ~np.isnan(scores.accuracy)
    assert (scores.iou[both] <= scores.accuracy[both]).all()
    defined = scores.iou[~np.isnan(scores.iou)]
    assert ((defined >= 0) & (defined <= 1)).all()


@given(pictures())
def test_a_right_prediction_scores_one(picture):
    _, label = picture
    scores = matrix_of(np.where(label == IGNORED, 0, label), label).scores()
    assert np.isnan(scores.mean_iou) if (label == IGNORED).all() else scores.mean_iou == 1
