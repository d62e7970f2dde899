"""`rapidseg models`: everything is listed with its figures, and shown whole."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rapidseg import zoo
from rapidseg.cli.console import console
from rapidseg.recipes import find_recipe, recipe_names
from rapidseg.runtime.model_file import BUILT_IN_MODELS

# Lists everything, shows each name given, and prints the exit statuses.
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from rapidseg.cli.app import main
names, statuses = sys.argv[1:], []
for words in ([], *(["show", name] for name in names)):
    sys.argv = ["rapidseg", "models", *words]
    try:
        main()
    except SystemExit as end:
        statuses.append(end.code or 0)
print(statuses)
"""


@pytest.mark.parametrize("columns", [80, 120])
def test_everything_is_listed_and_no_name_is_cut(rapidseg, monkeypatch, columns):
    monkeypatch.setattr(console, "_width", columns)
    status, output, _ = rapidseg("models")
    assert status == 0
    lines = output.splitlines()
    assert max(map(len, lines)) <= columns
    words = output.split()
    for name in (*zoo.architectures(), *zoo.built_in_models(), *recipe_names()):
        assert name in words
    for row in zoo.published_models().values():
        (line,) = [line for line in lines if line.startswith((f"{row.name} ", f"{row.name}*"))]
        figures = row.published
        if figures.mean_iou_percent is None:
            assert line.split()[-4:] == ["-", "-", "-", "-"]
        else:
            shown = (f"{figures.mean_iou_percent:.2f}", f"{figures.mean_iou_ms_flip_percent:.2f}")
            assert tuple(line.split()[-2:]) == shown
    assert "-: not published" in " ".join(words)


def test_list_is_the_same_as_no_subcommand(rapidseg):
    assert rapidseg("models", "list")[1] == rapidseg("models")[1]
    assert rapidseg("models", "list", "--json")[1] == rapidseg("models", "--json")[1]


def test_the_list_as_json(rapidseg):
    document = json.loads(rapidseg("models", "--json")[1])
    assert [recipe["name"] for recipe in document["recipes"]] == list(recipe_names())
    assert [entry["name"] for entry in document["architectures"]] == list(zoo.architectures())
    rows = {row["name"]: row for row in document["published"]}
    assert rows["fast-scnn-cityscapes"]["published"]["frames_per_second"] == 56.45
    assert rows["fast-scnn-cityscapes"]["weights"][0]["sha256_prefix"] == "0cec9937"
    assert [model["name"] for model in document["built_in"]] == list(BUILT_IN_MODELS)
    for model in document["built_in"]:
        for key in ("command", "data", "machine"):
            assert model["measured"][0][key]


def test_a_published_model_is_shown_whole(rapidseg):
    row = zoo.find("deeplabv3-r50-jpu-cityscapes-4x2")
    status, output, _ = rapidseg("models", "show", row.name)
    assert status == 0
    assert "mIoU            not published" in output
    assert "revised in a later table" in output
    assert "79.12 %" in output
    assert "measured with RapidSeg: no figures yet" in output
    for text in (row.configuration, row.recipe, row.url, row.published.source, *row.commands()):
        assert text in output
    document = json.loads(rapidseg("models", "show", row.name, "--json")[1])
    assert document["published"]["mean_iou_percent"] is None
    assert document["commands"] == list(row.commands())


def test_the_built_in_model_is_shown_with_how_its_figure_was_measured(rapidseg):
    status, output, _ = rapidseg("models", "show", "fast-scnn-camvid")
    assert status == 0
    for text in ("measured with RapidSeg: mIoU 0.", "rapidseg eval --data camvid", "machine", "Bicyclist", "CC BY-NC"):
        assert text in output
    document = json.loads(rapidseg("models", "show", "fast-scnn-camvid", "--json")[1])
    assert document["measured"][0]["value"] == document["spec"]["scores"][0]["mean_iou"]


def test_a_recipe_is_shown_as_it_is_written(rapidseg):
    name = "cityscapes/fast-scnn"
    status, output, _ = rapidseg("models", "show", name)
    assert status == 0
    assert output.startswith(find_recipe(name).read_text())
    assert "trains the published model fast-scnn-cityscapes" in output
    assert f"rapidseg train {name} data.root=DIR --output runs/first" in output
    document = json.loads(rapidseg("models", "show", name, "--json")[1])
    assert (document["published"], document["batch_size"]) == (["fast-scnn-cityscapes"], 32)


def test_an_architecture_is_shown_with_its_size_and_its_authors_figures(rapidseg):
    status, output, _ = rapidseg("models", "show", "fast-scnn")
    assert status == 0
    for text in ("1,137,795", "6.71 G", "123.5", "https://arxiv.org/abs/1902.04502"):
        assert text in output
    document = json.loads(rapidseg("models", "show", "fast-scnn", "--input-size", "512x1024", "--json")[1])
    assert document["variants"]["paper"]["parameters"] == 1_137_795
    assert document["size_hw"] == [512, 1024]


@pytest.mark.parametrize(
    ("word", "hint"),
    [("citiscapes/fast-scn", "cityscapes/fast-scnn"), ("psp-r50-d8-cityscapes", "pspnet-r50-d8-cityscapes")],
)
def test_an_unknown_name_is_answered_with_the_nearest(rapidseg, word, hint):
    status, output, error = rapidseg("models", "show", word)
    assert (status, output) == (2, "")
    assert (
        f"unknown architecture, model or recipe '{word}' (did you mean '{hint}'?); `rapidseg models` lists them"
        in error
    )


def test_all_but_the_size_of_an_architecture_needs_no_pytorch():
    names = ["fast-scnn-cityscapes", "fast-scnn-camvid", "tiny", "fast-scnn"]
    command = [sys.executable, "-c", WITHOUT_TORCH, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    statuses = json.loads(done.stdout.splitlines()[-1])
    assert statuses == [0, 0, 0, 0, 2]
    assert "pspnet-r50-d8-cityscapes" in done.stdout
    message = "torch is not installed; run in the clone of RapidSeg: pip install -c constraints.txt '.[export]'"
    assert message in done.stderr


def test_an_int8_model_says_what_that_cost(rapidseg):
    _, output, _ = rapidseg("models", "show", "fast-scnn-camvid-int8")
    assert "points of mIoU lost on camvid val" in output
    assert "INT8" not in rapidseg("models", "show", "fast-scnn-camvid")[1]


def test_export_of_a_published_model_is_shown_with_the_extra_it_needs(rapidseg):
    listed = " ".join(rapidseg("models")[1].split())
    assert "They run without PyTorch; `import` and `export` need the extra export." in listed
    lines = [line.strip() for line in rapidseg("models", "show", "fast-scnn-cityscapes")[1].splitlines()]
    place = lines.index("rapidseg export fast-scnn-cityscapes -o fast-scnn-cityscapes.onnx")
    assert lines[place - 1].endswith("needs the extra export")


def test_a_long_name_leaves_room_for_the_other_columns_of_the_cache(rapidseg, monkeypatch, tmp_path):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "c"))
    monkeypatch.setattr(console, "_width", 80)
    folder = tmp_path / "c" / "downloads"
    folder.mkdir(parents=True)
    name = f"{'0123456789ab-' + 'deeplabv3_r50-d8_512x1024_80k_cityscapes_' * 3}0cec9937.pth"
    (folder / name).write_bytes(bytes(1_500_000))
    lines = rapidseg("models", "cache")[1].splitlines()
    assert [word in lines[1] for word in ("file", "kind", "MB", "last used")] == [True] * 4
    (row,) = [line for line in lines if "1.5 " in line and "download" in line and not line.startswith("1 file")]
    rows = lines[lines.index(row) : -1]
    assert "".join(line.split(" ")[0] for line in rows) == name
    assert max(map(len, lines[:-1])) <= 80
