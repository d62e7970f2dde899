"""Every help: `-h`, grouped options, two examples that parse; and what the shell completes."""

import os
import shlex
import subprocess
import sys

import pytest
import typer

from rapidseg.cli.app import app
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
    code = "from rapidseg.cli.app import app; import sys; sys.argv[0] = 'rapidseg'; app(prog_name='rapidseg')"
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
    ],
)
def test_the_shell_completes(line, offered):
    assert set(complete(line)) == offered


def test_names_for_completion_are_those_of_the_rooms_that_own_them(tmp_path):
    from typing import get_args

    from rapidseg import recipes, zoo
    from rapidseg.cli.options import common
    from rapidseg.core.errors import InputError
    from rapidseg.data import open_dataset
    from rapidseg.evaluation.class_mapping import CLASS_MAPPINGS
    from rapidseg.runtime.engines import ENGINES, PRECISIONS
    from rapidseg.workflows.names import architecture_names, model_names, splits_of_dataset

    assert set(model_names()) == {*zoo.built_in_models(), *zoo.published_models()}
    assert architecture_names() == tuple(zoo.architectures())
    assert recipe_names() == recipes.recipe_names()
    with pytest.raises(InputError, match=", ".join(dataset_names())):
        open_dataset("nothing")
    assert get_args(common.Engine) == ("auto", *ENGINES)
    assert get_args(common.Precision) == ("auto", *PRECISIONS)
    (mapping,) = CLASS_MAPPINGS
    assert mapping in str(common.ClassMappingOption)
    (tmp_path / "own.yaml").write_text("splits:\n  day: {}\n  night: {}\n")
    assert splits_of_dataset(str(tmp_path / "own.yaml")) == ("day", "night")
    assert splits_of_dataset(str(tmp_path / "none.yaml")) == ()


def test_completion_is_cheap():
    code = (
        "import sys; from rapidseg.cli import completion as c; "
        "c.complete_model(''); c.complete_recipe(''); c.complete_dataset(''); c.complete_any_name(''); "
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
