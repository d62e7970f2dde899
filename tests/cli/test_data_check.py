"""`rapidseg data check`: what it prints, and its exit status."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from rapidseg.cli import data
from rapidseg.core.errors import ConfigError, DatasetError
from tests.support.data_folders import cut, random_label, write_camvid, write_yaml_dataset


@pytest.fixture
def run():
    app = typer.Typer()
    data.register(app)

    def invoke(*arguments):
        return CliRunner().invoke(app, ["data", "check", *map(str, arguments)])

    return invoke


def test_a_sound_data_set(run, tmp_path):
    result = run("camvid", "--root", write_camvid(tmp_path))
    assert result.exit_code == 0
    assert "SignSymbol" in result.stdout
    assert "OK: 6 image/mask pairs, no errors, no warnings. Ready to train." in result.stdout


def test_a_broken_one(run, tmp_path):
    root = write_camvid(tmp_path)
    cut(root / "trainannot/001.png")
    (root / "valannot/002.png").unlink()
    result = run("camvid", "--root", root)
    assert result.exit_code == 2
    assert "error train: unreadable files: 1\n    trainannot/001.png: the file is damaged or cut off" in result.stdout
    assert "error val: missing files: 1\n    valannot/002.png: mask of " in result.stdout
    assert "Not OK: 5 image/mask pairs, 2 errors, no warnings. Fix the errors before training." in result.stdout


def test_warnings_let_training_start(run, tmp_path):
    path = write_yaml_dataset(tmp_path, "classes: [road, car]", {"a": np.zeros((12, 20), np.uint8)})
    result = run(path)
    assert result.exit_code == 0
    assert "warning train: no pixel of car, so it cannot be learned" in result.stdout


def test_long_lists_are_cut_and_json_is_not(run, tmp_path):
    names = [f"[{index:02}]" for index in range(25)]
    path = write_yaml_dataset(tmp_path, "classes: [road, car]", {name: random_label(4) for name in names})
    result = run(path)
    assert result.exit_code == 2
    assert result.stdout.count("masks/train/[") == 20
    assert "... and 5 more; --json lists all" in result.stdout
    result = run(path, "--json")
    assert result.exit_code == 2
    (finding,) = json.loads(result.stdout)["findings"]
    assert len(finding["files"]) == 25


def test_chosen_splits(run, tmp_path):
    root = write_camvid(tmp_path, ("train", "val", "test"))
    cut(root / "test/001.png")
    assert run("camvid", "--root", root, "--split", "train+val", "--workers", "1").exit_code == 0
    assert run("camvid", "--root", root, "--split", "test").exit_code == 2


def test_mistakes_in_what_was_asked_for(run, tmp_path):
    assert isinstance(run("camvid", "--root", tmp_path).exception, DatasetError)
    path = tmp_path / "mine.yaml"
    path.write_text("clases: [a, b]")
    error = run(path).exception
    assert isinstance(error, ConfigError)
    assert "did you mean 'classes'?" in str(error)


def test_real_camvid(run, camvid_root):
    result = run("camvid", "--root", camvid_root, "--split", "val", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["findings"] == []
    assert document["splits"]["val"]["pairs"] == 101
    assert document["splits"]["val"]["classes"][3]["share"] == pytest.approx(0.2945, abs=1e-3)
