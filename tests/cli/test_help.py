"""Every help: `-h`, grouped options, two examples that parse; and what the shell completes."""

import itertools
import os
import shlex
import subprocess
import sys

import pytest
import typer

from rapidseg.cli.commands import app
from rapidseg.cli.renames import RENAMED_OPTIONS
from rapidseg.workflows.names import dataset_names, recipe_names

ROOT = typer.main.get_command(app)


def commands(command=ROOT, words=()):
    """Yields each group and command with the words that call it."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


EVERY = dict(commands())
names = pytest.mark.parametrize("words", EVERY, ids=lambda words: " ".join(words) or "rapidseg")


def examples_of(command):
    return [line for line in (command.epilog or "").splitlines() if line.startswith("rapidseg ")]


@names
def test_help_has_two_examples_as_they_are_typed(rapidseg, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    status, output, _ = rapidseg(*words, "-h")
    assert status == 0
    assert output == rapidseg(*words, "--help")[1]
    lines = [line.strip() for line in output.splitlines()]
    examples = examples_of(EVERY[words])
    assert len(examples) >= 2
    for example in examples:
        assert example in lines  # whole, in one line


@names
def test_each_example_parses_and_is_one_of_this_command(words):
    for example in examples_of(EVERY[words]):
        typed = shlex.split(example)[1:]
        assert tuple(typed[: len(words)]) == words
        command = ROOT
        while hasattr(command, "commands") and typed:
            command = command.commands[typed.pop(0)]
        command.make_context("rapidseg", typed)  # raises a usage error where a word does not belong


@names
def test_every_command_is_described_and_prints_json_on_request(words):
    command = EVERY[words]
    assert command.help
    assert command.get_short_help_str(200).endswith(".")
    if not hasattr(command, "commands"):
        assert "--json" in {option for parameter in command.params for option in parameter.opts}


def complete(line):
    """Returns what bash offers for a line that ends where TAB is pressed."""
    words = line.split(" ")
    environment = {**os.environ, "_RAPIDSEG_COMPLETE": "complete_bash", "COMP_WORDS": line}
    environment["COMP_CWORD"] = str(len(words) - 1)
    code = "from rapidseg.cli.commands import app; import sys; sys.argv[0] = 'rapidseg'; app(prog_name='rapidseg')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rapidseg eval --engine ", {"auto", "openvino", "onnxruntime", "torch"}),
        ("rapidseg eval --precision b", {"bf16"}),
        ("rapidseg eval --protocol s", {"sliding"}),
        ("rapidseg eval fast-scnn-camvid", {"fast-scnn-camvid", "fast-scnn-camvid-int8"}),
        ("rapidseg eval --data cam", {"camvid"}),
        ("rapidseg data check city", {"cityscapes", "cityscapes-coarse"}),
        ("rapidseg eval --data camvid --split train+", {"train+val", "train+test"}),
        ("rapidseg models show tin", {"tiny"}),
        ("rapidseg import fast-scnn", {"fast-scnn-cityscapes"}),
        ("rapidseg import --labels c", {"cityscapes", "camvid"}),
        ("rapidseg train tiny optimizer.l", {"optimizer.lr="}),
    ],
)
def test_the_shell_completes(line, offered):
    assert set(complete(line)) == offered


def test_names_for_completion_are_those_of_the_rooms_that_own_them(tmp_path):
    from typing import get_args

    from rapidseg import recipes, zoo
    from rapidseg.cli.options import common
    from rapidseg.core.choices import EngineChoice, PrecisionChoice
    from rapidseg.core.errors import InputError
    from rapidseg.core.validation import dotted_keys
    from rapidseg.data import open_dataset
    from rapidseg.data.opening import BUNDLED_DESCRIPTIONS
    from rapidseg.evaluation.class_mapping import CLASS_MAPPINGS
    from rapidseg.importing.class_names import LABEL_SETS
    from rapidseg.recipes.schema import Recipe
    from rapidseg.runtime.engines import ENGINES, PRECISIONS
    from rapidseg.workflows.names import (
        architecture_names,
        label_set_names,
        model_names,
        recipe_keys,
        splits_of_dataset,
    )

    assert set(model_names()) == {*zoo.built_in_models(), *zoo.published_models()}
    assert set(label_set_names()) == {*LABEL_SETS, *BUNDLED_DESCRIPTIONS}
    assert set(recipe_keys()) >= {"optimizer.lr", "data.root", "iterations"}
    assert {key for key in recipe_keys() if not key.startswith(("model.options.", "loss.head_weights."))} <= set(
        dotted_keys(Recipe)
    )
    assert set(recipe_keys("pretrain")) >= {"method.m", "data.view.image_size", "epochs"}
    assert architecture_names() == tuple(zoo.architectures())
    assert recipe_names() == recipes.recipe_names()
    with pytest.raises(InputError, match=", ".join(dataset_names())):
        open_dataset("nothing")
    assert get_args(EngineChoice) == ("auto", *ENGINES)
    assert get_args(PrecisionChoice) == ("auto", *PRECISIONS)
    (mapping,) = CLASS_MAPPINGS
    assert mapping in str(common.ClassMappingOption)
    (tmp_path / "own.yaml").write_text("splits:\n  day: {}\n  night: {}\n")
    assert splits_of_dataset(str(tmp_path / "own.yaml")) == ("day", "night")
    assert splits_of_dataset(str(tmp_path / "none.yaml")) == ()


def test_completion_is_cheap():
    code = (
        "import sys; from rapidseg.cli import completion as c; "
        "c.complete_model(''); c.complete_recipe(''); c.complete_dataset(''); c.complete_any_name(''); "
        "c.complete_checkpoint(''); c.complete_labels(''); c.complete_override(''); c.complete_document(''); "
        "print([name for name in ('numpy', 'pydantic', 'openvino', 'torch', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_characters_that_the_terminal_cannot_encode_are_escaped(tmp_path, encoding):
    name = os.fsdecode(b"caf\xc3\xa9-\xff.onnx")  # an undecodable byte, too
    words = [sys.executable, "-m", "rapidseg", "eval", name, "--data", "camvid", "--root", "nowhere"]
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict", "PYTHONUTF8": "0"}
    done = subprocess.run(words, capture_output=True, env=environment, cwd=tmp_path)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"error:" in done.stderr


@names
def test_help_names_arguments_in_capitals_and_has_no_two_empty_lines(rapidseg, words):
    output = rapidseg(*words, "-h")[1]
    for parameter in EVERY[words].params:
        if parameter.param_type_name == "argument":
            assert parameter.metavar
            assert parameter.metavar == parameter.metavar.upper()
    lines = [line.strip() for line in output.strip().splitlines()]
    assert ("", "") not in set(itertools.pairwise(lines))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "--size", "512"], "No such option: --size; it is called --input-size now"),
        (["benchmark", "--size", "512"], "No such option: --size; it is called --image-size now"),
        (["benchmark", "--against", "eager"], "No such option: --against; it is called --baseline now"),
        (["eval", "--map", "x"], "No such option: --map; it is called --class-mapping now"),
        (["predict", "--modle", "x"], "No such option: --modle (did you mean '--model'?)"),
        (["data", "synth", "--imags", "3"], "No such option: --imags (did you mean '--images'?)"),
        (["predict", "--qqqqqqqq"], "No such option: --qqqqqqqq"),
        (
            ["eval", "--data", "camvid", "--protocol", "slidng"],
            "Invalid value for '--protocol': 'slidng' is not one of 'whole', 'sliding', 'multi-scale' (did you mean "
            "'sliding'?).",
        ),
        (["predict", "photo.jpg", "-o", ""], "-o is empty; pass a value, or . for the current folder"),
        (["predict", ""], "an argument is empty; pass a value, or . for the current folder"),
        (["eval", "--data="], "--data is empty; pass a value, or . for the current folder"),
        (["data", "synth", " "], "an argument is empty"),
        (["predict", "--engine", "zzzz"], "'zzzz' is not one of 'auto', 'openvino', 'onnxruntime', 'torch'."),
    ],
)
def test_a_wrong_option_gets_a_hint(rapidseg, words, message):
    status, output, error = rapidseg(*words)
    assert status == 2
    assert output == ""
    text = " ".join(error.replace("│", " ").split())
    assert message in text
    assert "Value error" not in text


def test_renamed_options_are_options_of_a_command():
    known = {option for command in EVERY.values() for parameter in command.params for option in parameter.opts}
    assert not RENAMED_OPTIONS.keys() & known
    assert {name for names in RENAMED_OPTIONS.values() for name in names} <= known
