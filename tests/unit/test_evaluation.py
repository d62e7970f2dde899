import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest

from rapidseg.core.errors import InputError
from rapidseg.core.labels import CAMVID, CITYSCAPES, CITYSCAPES_TO_CAMVID, LabelSet
from rapidseg.evaluation import ClassMapping, score

LABELS = LabelSet(names=("road", "car"), palette=((1, 2, 3), (4, 5, 6)))


@dataclass
class Labeled:
    name: str
    image: np.ndarray
    label: np.ndarray


class Pictures:
    """A data set whose images hold the class to be predicted in their red channel."""

    labels = LABELS

    def __init__(self, *pairs):
        self.pairs = [(np.array(predicted, np.uint8), np.array(label, np.uint8)) for predicted, label in pairs]

    def __len__(self):
        return len(self.pairs)

    def __iter__(self):
        for index, (predicted, label) in enumerate(self.pairs):
            yield Labeled(f"image{index}", np.repeat(predicted[:, :, None], 3, axis=2), label)


def red_channel(image):
    return image[:, :, 0]


def test_scores_are_of_all_pixels_and_images_are_scored_apart():
    evaluation = score(red_channel, Pictures(([[0, 0, 0]], [[0, 0, 1]]), ([[1]], [[1]])))
    assert evaluation.scores.pixel_accuracy == pytest.approx(3 / 4)
    assert evaluation.scores.iou.tolist() == [2 / 3, 1 / 2]
    assert [(image.name, image.pixel_accuracy) for image in evaluation.images] == [("image0", 2 / 3), ("image1", 1)]
    assert evaluation.images[0].mean_iou == pytest.approx((2 / 3 + 0) / 2)
    assert evaluation.matrix.counts.tolist() == [[2, 0], [1, 1]]


def test_the_document_for_json_has_no_nan():
    document = score(red_channel, Pictures(([[0]], [[255]]))).to_dict()
    assert document["mean_iou"] is None
    assert document["images"] == [{"name": "image0", "mean_iou": None, "pixel_accuracy": None}]
    assert document["confusion_matrix"] == [[0, 0], [0, 0]]
    assert [entry["name"] for entry in document["classes"]] == ["road", "car"]


def test_predicted_classes_are_mapped_to_those_of_the_data():
    evaluation = score(red_channel, Pictures(([[0, 1, 2, 2]], [[1, 0, 1, 0]])), class_mapping=ClassMapping((1, 0, 1)))
    assert evaluation.matrix.counts.tolist() == [[1, 1], [0, 2]]


def test_progress_is_told_after_each_image():
    told = []
    score(red_channel, Pictures(([[0]], [[0]]), ([[1]], [[1]])), progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]


def test_observers_see_each_image_with_its_class_map_in_classes_of_the_data():
    seen = []
    pictures = Pictures(([[0, 2]], [[1, 1]]), ([[1]], [[0]]))
    score(red_channel, pictures, class_mapping=ClassMapping((1, 0, 1)), observers=[lambda *shown: seen.append(shown)])
    shown = [(sample.name, class_map.tolist(), image.name) for sample, class_map, image in seen]
    assert shown == [("image0", [[1, 1]], "image0"), ("image1", [[0]], "image1")]


def test_images_are_ranked_from_the_worst_and_those_without_labels_left_out():
    evaluation = score(red_channel, Pictures(([[0]], [[0]]), ([[0]], [[255]]), ([[0]], [[1]]), ([[0, 0]], [[0, 1]])))
    assert [image.name for image in evaluation.ranked_images()] == ["image2", "image3", "image0"]


def test_memory_does_not_grow_with_the_data_set():
    class Many(Pictures):
        def __init__(self, count):
            self.pairs = [(np.zeros((200, 300), np.uint8), np.zeros((200, 300), np.uint8))] * count

    def peak(count):
        tracemalloc.start()
        try:
            score(red_channel, Many(count), observers=[lambda sample, class_map, score: None])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    assert peak(40) < peak(2) + 200 * 300  # not one class map more, where an image with its label takes four


@pytest.mark.parametrize(
    ("pair", "mapping", "message"),
    [
        (
            ([[0]], [[9]]),
            None,
            r"image0: the label contains the value 9 \(1 pixels\); 0 to 1 are allowed, and 255 for ignored pixels",
        ),
        (([[7]], [[0]]), None, "image0: the prediction contains the value 7"),
        (
            ([[2]], [[0]]),
            (0, 1),
            "image0: the prediction contains class 2, but the class mapping has 2 entries; give one",
        ),
        (([[0, 0]], [[0]]), None, r"image0: the prediction has shape \(1, 2\) and the label \(1, 1\)"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_the_image_that_holds_it(pair, mapping, message):
    with pytest.raises(InputError, match=message):
        score(red_channel, Pictures(pair), class_mapping=None if mapping is None else ClassMapping(mapping))


def test_an_empty_data_set_is_refused():
    with pytest.raises(InputError, match="the data set contains no images; choose another split"):
        score(red_channel, Pictures())


def test_the_same_classes_need_no_mapping():
    assert ClassMapping.between(CAMVID, CAMVID) == ClassMapping(None, None)


def test_a_cityscapes_model_is_mapped_to_camvid_unasked():
    assert ClassMapping.between(CITYSCAPES, CAMVID) == ClassMapping(CITYSCAPES_TO_CAMVID, "cityscapes-to-camvid")
    named = [(CITYSCAPES.names[i], CAMVID.names[c]) for i, c in enumerate(CITYSCAPES_TO_CAMVID)]
    assert ("road", "Road") in named
    assert ("bicycle", "Bicyclist") in named


def test_a_mapping_asked_for_by_name_also_serves_a_model_without_class_names():
    mapping = ClassMapping.between(LabelSet.generic(19), CAMVID, "cityscapes-to-camvid")
    assert mapping == ClassMapping(CITYSCAPES_TO_CAMVID, "cityscapes-to-camvid")


def test_an_own_mapping_names_a_class_of_the_data_for_each_class_of_the_model():
    mapping = ClassMapping.between(LabelSet.generic(3), LABELS, (1, 0, 1))
    assert mapping == ClassMapping((1, 0, 1), "custom")
    assert mapping(np.array([[0, 1, 2]], np.uint8)).tolist() == [[1, 0, 1]]


def test_a_score_for_a_specification_says_what_was_measured():
    stated = score(red_channel, Pictures(([[0, 1]], [[0, 0]]))).as_score(dataset="roads", split="val", protocol="whole")
    assert (stated.dataset, stated.split, stated.protocol, stated.pixel_accuracy) == ("roads", "val", "whole", 0.5)
    unlabeled = score(red_channel, Pictures(([[0]], [[255]])))
    assert unlabeled.as_score(dataset="roads", split="val", protocol="whole") is None


@pytest.mark.parametrize(
    ("model", "data", "name", "message"),
    [
        (
            CAMVID,
            LABELS,
            None,
            r"The model has 11 classes \(Sky, .*\)\. The data set has 2 classes \(road, car\)\. Eval",
        ),
        (CITYSCAPES, CAMVID, "cityscapes-to-camvit", "did you mean 'cityscapes-to-camvid'"),
        (LABELS, CAMVID, "cityscapes-to-camvid", "is for a model with 19 classes .*; this model has 2 classes"),
        (LabelSet.generic(3), LABELS, (0, 3, 1), "the class mapping leads to 3; the data set's classes are 0 to 1"),
        (
            LabelSet.generic(3),
            LABELS,
            (0, 1),
            r"the class mapping has 2 entries but the model 3 classes \(class_0, .*one",
        ),
        (CITYSCAPES, LABELS, "cityscapes-to-camvid", "is for data with 11 classes .*; this data set has 2 classes"),
    ],
)
def test_classes_that_do_not_fit_are_refused_with_both_lists(model, data, name, message):
    with pytest.raises(InputError, match=message):
        ClassMapping.between(model, data, name)
