"""Misuse of the public functions: every wrong argument gives one `RapidSegError`, before any work."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rapidseg
from rapidseg.core.arguments import as_items, as_names, as_numbers, check_integer, check_number, checked, integer
from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.sizes import to_input_size, to_size, to_sizes

FUNCTIONS = {
    name: value
    for name in rapidseg.PUBLIC_NAMES
    if inspect.isfunction(value := getattr(rapidseg, name)) and inspect.signature(value).parameters
}
REQUIRED: dict[str, dict[str, Any]] = {
    "evaluate": {"data": "camvid"},
    "compare_runs": {"paths": ("a.json", "b.json")},
    "export": {"model": "a.pth"},
    "quantize": {"model": "a.pth", "data": "camvid"},
    "import_checkpoint": {"source": "a.pth"},
    "show_model": {"name": "fast-scnn"},
    "open_dataset": {"name_or_path": "camvid"},
    "check_data": {"data": "camvid"},
    "prepare_data": {"data": "cityscapes", "root": "cityscapes"},
    "draw_scenes": {"output": "scenes", "images": 1},
}
ARGUMENTS = [
    (name, argument) for name, function in FUNCTIONS.items() for argument in inspect.signature(function).parameters
]


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_every_argument_of_another_type_is_refused_by_its_name(
    name: str, argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wrong in (object(), 2.5j, b"bytes", [object()]):
        with pytest.raises(RapidSegError) as caught:
            FUNCTIONS[name](**{**REQUIRED.get(name, {}), argument: wrong})
        assert str(caught.value).startswith(f"{argument} is ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("load", {"model": 5}, "model is 5; pass a model's name or file, as text or pathlib.Path"),
        ("tune", {"min_miou": 50}, "min_miou is 50; pass a number from 0 to 1; a mIoU is a fraction, so write 50 % as"),
        ("tune", {"min_fps": -1}, "min_fps is -1; pass a number of 0 or more"),
        ("tune", {"seconds": float("nan")}, "seconds is nan; pass a number of 0 or more"),
        ("tune", {"image_size": 64}, "image_size is 64, which is not a size; pass (height, width) in pixels, or text"),
        ("tune", {"input_sizes": 512.0}, "input_sizes is 512.0, which is not an input size"),
        ("benchmark", {"batch": 0}, "batch is 0; pass an integer of 1 or more"),
        ("benchmark", {"rounds": True}, "rounds is True; pass an integer of 1 or more"),
        ("benchmark", {"models": 5}, "models is 5; pass a path or a list of paths"),
        ("benchmark", {"engines": 5}, "engines is 5; pass a name, a list of names, or comma-separated names"),
        ("train", {"iterations": "2"}, "iterations is '2'; pass an integer of 1 or more"),
        ("evaluate", {"crop": 256}, "crop is 256, which is not a size"),
        ("evaluate", {"split": ["train", "val"]}, "split is ['train', 'val']; pass a split, such as 'val', or several"),
        ("evaluate", {"scales": "big"}, "scales are comma-separated numbers, such as 0.5,1,1.5, not 'big'"),
        ("predict", {"input_size": (256,)}, "input_size is (256,), which is not an input size; pass pixels of the"),
        (
            "predict",
            {"save": "overlays"},
            "cannot save 'overlays'; allowed are class-map, overlay, confidence (did you",
        ),
        ("compare_runs", {"paths": "a.json"}, "a comparison needs two documents, not 1; pass those of run A and run B"),
        ("load", {"model": ""}, "model is ''; pass a model's name or file, as text or pathlib.Path"),
        ("predict", {"output": " "}, "output is ' '; pass a path or a name, as text or pathlib.Path"),
        ("predict", {"images": ""}, "images is ''; pass"),
        ("evaluate", {"output": "ev.txt"}, "ev.txt: pass a file name that ends in .json, such as ev.json"),
        ("evaluate", {"html": "ev.json"}, "ev.json: pass a file name that ends in .html or .htm, such as ev.html"),
        ("draw_scenes", {"images": 0}, "images is 0; pass an integer of 1 or more"),
        ("draw_scenes", {"image_size": "64"}, "'64' is not a size; write HEIGHTxWIDTH in pixels, such as 1024x2048"),
        ("prepare_data", {"labels": "labelId"}, "unknown kind of mask 'labelId'; choose from labelIds"),
        ("quantize", {"max_drop": 101}, "max_drop is 101; pass a number from 0 to 100 (points of mIoU)"),
        ("check_data", {"workers": 0}, "workers is 0; pass an integer of 1 or more"),
        ("evaluate", {"progress": print}, "progress is <built-in function print>; pass an object with the methods of"),
    ],
)
def test_what_came_and_what_is_allowed(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RapidSegError) as caught:
        FUNCTIONS[name](**{**REQUIRED.get(name, {}), **arguments})
    assert str(caught.value).startswith(message)


def test_none_is_refused_where_it_is_not_the_default() -> None:
    with pytest.raises(InputError, match="images is None; pass an integer of 1 or more"):
        rapidseg.draw_scenes("out", None)  # type: ignore[arg-type]


def test_python_itself_reports_missing_and_unknown_parameters() -> None:
    with pytest.raises(TypeError, match=r"evaluate\(\) missing 1 required keyword-only argument: 'data'"):
        rapidseg.evaluate()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"load\(\) got an unexpected keyword argument 'engin'"):
        rapidseg.load(engin="torch")  # type: ignore[call-arg]


def test_a_parameter_without_a_rule_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="work needs a rule per parameter"):

        @checked(count=integer())
        def work(count: int, other: int) -> None: ...


@pytest.mark.parametrize("size", ["64x96", (64, 96), [64, 96], np.array([64, 96]), (np.int64(64), np.int32(96))])
def test_a_size_has_several_forms(size: Any) -> None:
    assert to_size(size, "crop") == to_input_size(size) == (64, 96)
    assert to_sizes(size, "check_sizes") == to_sizes([size], "check_sizes") == ((64, 96),)


@pytest.mark.parametrize("size", [256, 256.0, (256,), (1, 2, 3), (64, 96.0), (0, 8), None, {}, (True, 8), np.zeros(2)])
def test_other_values_are_not_a_size(size: Any) -> None:
    with pytest.raises(InputError, match=r"crop is .*, which is not a size; pass "):
        to_size(size, "crop")
    if repr(size) not in ("256", "(0, 8)"):  # an input size, or one that is too small for every network
        with pytest.raises(InputError, match=r"input_size is .*, which is not an input size; pass pixels of the"):
            to_input_size(size)


def test_text_is_never_iterated() -> None:
    assert (
        as_items("save", "overlay", "") == as_names("save", ["overlay"]) == as_names("save", "overlay") == ("overlay",)
    )
    assert as_items("images", Path("a"), "") == (Path("a"),)
    assert as_names("engines", "torch, openvino") == as_names("engines", ["torch", "openvino"]) == ("torch", "openvino")
    assert as_numbers("scales", 1) == as_numbers("scales", "1") == as_numbers("scales", [1]) == (1.0,)


def test_numbers_of_any_library_are_taken() -> None:
    assert check_integer("rounds", np.int64(3)) == 3
    assert check_number("seconds", np.float32(0.5)) == 0.5
    for wrong in (np.zeros(1, int), 1.0, "1", None):
        with pytest.raises(InputError, match=r"rounds is .*; pass an integer"):
            check_integer("rounds", wrong)


def test_a_long_value_is_cut_and_an_array_described() -> None:
    with pytest.raises(InputError) as caught:
        check_integer("rounds", "x" * 1000)
    assert len(str(caught.value)) < 150
    with pytest.raises(InputError, match=r"rounds is ndarray of shape \(4, 5\); pass an integer"):
        check_integer("rounds", np.zeros((4, 5)))
