"""`rapidseg data synth`: what it writes and prints."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from rapidseg.cli import data
from rapidseg.core.errors import DatasetError, InputError


@pytest.fixture
def run():
    app = typer.Typer()
    data.register(app)

    def invoke(*arguments):
        return CliRunner().invoke(app, ["data", *map(str, arguments)])

    return invoke


def test_draws_checks_and_goes_on(run, tmp_path):
    out = tmp_path / "streets"
    result = run("synth", out, "--images", 3, "--image-size", "48x96", "--workers", 1)
    assert result.exit_code == 0
    assert f"{out}: 3 scenes for train, 1 for val (4 drawn, 0 already existed)\n" in result.stdout
    assert f"check them with: rapidseg data check cityscapes --root {out}\n" in result.stdout
    assert run("check", "cityscapes", "--root", out).exit_code == 0
    result = run("synth", out, "--images", 4, "--image-size", "48x96", "--workers", 1)
    assert "4 scenes for train, 1 for val (1 drawn, 4 already existed)" in result.stdout


def test_json(run, tmp_path):
    out = tmp_path / "streets"
    arguments = ("--images", 1, "--val-images", 0, "--seed", 9, "--image-size", "48x96", "--workers", 1, "--json")
    result = run("synth", out, *arguments)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document.pop("seconds") > 0
    assert document == {
        "root": str(out),
        "seed": 9,
        "size_hw": [48, 96],
        "train": 1,
        "val": 0,
        "drawn": 1,
        "kept": 0,
    }
    assert not (out / "leftImg8bit" / "val").exists()


def test_mistakes(run, tmp_path):
    result = run("synth", tmp_path / "a", "--images", 1, "--image-size", "48")
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == "'48' is not a size; write HEIGHTxWIDTH in pixels, such as 1024x2048"
    assert run("synth", tmp_path / "a", "--images", 0).exit_code == 2
    assert run("synth", tmp_path / "a").exit_code == 2
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").touch()
    assert isinstance(run("synth", tmp_path / "b", "--images", 1).exception, DatasetError)


def test_a_file_in_the_folder_s_place_is_called_a_file(rapidseg, tmp_path):
    (tmp_path / "photo.jpg").touch()
    status, output, error = rapidseg("data", "synth", "photo.jpg", "--images", "1")
    assert (status, output) == (2, "")
    assert "photo.jpg is a file; results are written to a folder, choose another name" in error
