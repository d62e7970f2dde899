"""Label sets and specifications: what is checked, and what files of older versions hold."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from rapidseg.core.errors import ModelFileError
from rapidseg.core.labels import LabelSet
from rapidseg.core.spec import ModelSpec, Quantization
from rapidseg.core.validation import explain_validation
from rapidseg.runtime.model_file import find_model, read_spec

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"names": ["Car", "Car"], "palette": [RED, BLUE]}, "duplicate class name: Car"),
        ({"names": ["b", "a", "a", "b"], "palette": [RED] * 4}, "duplicate class names: a, b"),
        ({"names": ["a", "b"], "palette": [RED]}, "2 class names but 1 colors; pass one color per class"),
        (
            {"names": ["a", "b"], "palette": [RED, BLUE], "categories": ["c"]},
            "2 class names but 1 categories; pass one per class",
        ),
        (
            {"names": ["a", "b"], "palette": [RED, BLUE], "ignore_index": 1},
            "ignore_index 1 is the id of class 'b'; use 2 or more, usually 255",
        ),
        ({"names": ["a"], "palette": [RED]}, "names should have at least 2 items, not ['a']"),
        ({"names": ["a", "b"], "palette": [RED, (0, 0, 256)]}, "palette.1.2 should be less than or equal to 255, not"),
    ],
)
def test_labels_that_cannot_be_are_explained(values, message):
    with pytest.raises(ValidationError) as caught:
        LabelSet.model_validate(values)
    assert explain_validation(caught.value, LabelSet).startswith(message)


def test_the_keys_of_version_0_1_are_read_and_those_of_today_written():
    """The shipped model file was written by version 0.1."""
    spec = read_spec(find_model("fast-scnn-camvid"))
    today = json.loads(spec.to_json())
    assert (today["license"], today["input_short_side"]) == (spec.license, spec.input_short_side)
    assert spec.license is not None
    old = dict(today)
    old["licence"], old["working_short_side"] = old.pop("license"), old.pop("input_short_side")
    assert ModelSpec.from_json(json.dumps(old), where="old.onnx") == spec
    assert ModelSpec.from_json(spec.to_json(), where="new.onnx") == spec


@pytest.mark.parametrize("size", [512, [384, 512], None])
def test_the_input_size_of_an_int8_file_of_version_0_1_is_read(size):
    values = {
        "dataset": "camvid",
        "calibration_split": "train",
        "calibration_images": 300,
        "validation_split": "val",
        "mean_iou_float32": 0.7,
        "mean_iou": 0.69,
        "agreement": 0.99,
    }
    old = Quantization.model_validate_json(json.dumps({**values, "working_size": size}))
    assert old == Quantization.model_validate_json(json.dumps({**values, "input_size": size}))
    assert old.input_size == (tuple(size) if isinstance(size, list) else size)
    assert "working_size" not in old.model_dump()


def test_a_specification_that_is_not_valid_names_the_file_and_the_key():
    with pytest.raises(ModelFileError, match=r"a\.onnx: its model specification is not valid: the key 'labels' is mis"):
        ModelSpec.from_json('{"architecture": "x", "stride": 8}', where="a.onnx")
    with pytest.raises(
        ModelFileError, match=r"a\.onnx: .*: unknown key 'strid' \(did you mean 'stride'\?\); export the"
    ):
        ModelSpec.from_json('{"architecture": "x", "strid": 8}', where="a.onnx")
