"""Every command with names of any bytes, on terminals that cannot show them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rapidseg.cli import app
from rapidseg.core.labels import CAMVID, CITYSCAPES
from tests.support.data_folders import write_image, write_mask
from tests.support.polygon_files import street, write_polygons
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names of any bytes")

# Bytes that are not UTF-8, a command to the terminal (red), its 8-bit form, and a letter that cp1252 lacks.
NAME = os.fsdecode(b"k\xdf\x1b[31m\xc2\x9b1m\xe8\xa1\x97[b]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of such a name with a model, a data set and polygon files of such names; the current one."""
    folder = tmp_path / NAME
    for index in range(2):
        os.rename(write_image(folder / "i/x.png", seed=index), folder / f"i/{NAME}{index}.png")
        os.rename(write_mask(folder / "m/x.png", np.full((12, 20), index, np.uint8)), folder / f"m/{NAME}{index}.png")
    (folder / f"i/{NAME}-empty.png").touch()
    os.rename(write_tiny_onnx(folder / "x.onnx", tiny_spec()), folder / f"{NAME}.onnx")
    text = f"classes: [{', '.join(CAMVID.names)}]\nignore_index: 255\nsplits:\n  val: {{images: i, masks: m}}\n"
    (folder / f"{NAME}.yaml").write_text(text)
    polygons = write_polygons(folder / "c", street(0))
    os.rename(polygons.parent, polygons.parent.with_name(NAME))
    os.rename(
        polygons.parent.with_name(NAME) / polygons.name, polygons.parent.with_name(NAME) / f"{NAME}{polygons.name}"
    )
    (polygons.parent.with_name(NAME) / f"{NAME}0_gtFine_polygons.json").write_text("{")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(params=["utf-8", "cp1252", "ascii"])
def rapidseg(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Runs a command line whose streams have an encoding, and are strict; returns status, output and errors."""

    def run(*words: object) -> tuple[int, str, str]:
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=request.param, write_through=True) for _ in range(2)]
        monkeypatch.setattr("sys.argv", ["rapidseg", *map(str, words)])
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            try:
                app.main()
                status = 0
            except SystemExit as end:
                status = int(end.code or 0)
        texts = [stream.buffer.getvalue().decode(request.param) for stream in streams]
        for text in texts:
            assert not any((ord(letter) < 32 and letter not in "\n\t") or 0x7F <= ord(letter) < 0xA0 for letter in text)
            assert "Traceback" not in text
        return status, *texts

    return run


def test_predict(rapidseg, folder: Path) -> None:
    words = ["predict", "i", "--model", f"{NAME}.onnx", "-o", f"out{NAME}"]
    status, output, error = rapidseg(*words)
    assert status == 1
    assert r"record: outk\udcdf\x1b[31m\x9b1m" in output
    assert r"skipped: i/k\udcdf\x1b[31m\x9b1m" in error
    record = json.loads((folder / f"out{NAME}/predictions.json").read_bytes())
    assert {entry["file"] for entry in record["files"]} == {f"i/{NAME}{index}.png" for index in range(2)}
    status, output, _ = rapidseg(*words, "--json")
    assert status == 1
    assert output.isascii()
    document = json.loads(output)
    assert [entry["class_map"] for entry in document["files"]] == [entry["class_map"] for entry in record["files"]]
    assert all(Path(entry["overlay"]).is_file() for entry in document["files"])


def test_evaluation_and_its_reports(rapidseg, folder: Path) -> None:
    (folder / f"i/{NAME}-empty.png").unlink()
    words = ["eval", f"{NAME}.onnx", "--data", f"{NAME}.yaml"]
    written = ["--html", f"{NAME}.html", "-o", f"{NAME}.json", "--save", f"saved{NAME}"]
    status, output, error = rapidseg(*words, *written)
    assert (status, error) == (0, "")
    page = (folder / f"{NAME}.html").read_text("utf-8")
    assert page.count("<img") >= 4
    assert r"k\udcdf" in page
    status, output, _ = rapidseg(*words, "--json")
    assert status == 0
    document = json.loads(output)
    assert {image["name"] for image in document["images"]} == {f"{NAME}{index}" for index in range(2)}
    assert json.loads((folder / f"{NAME}.json").read_bytes())["images"] == document["images"]
    status, output, error = rapidseg("report", f"{NAME}.json", "-o", f"page{NAME}.html")
    assert (status, error) == (0, "")
    assert output.startswith(r"wrote pagek\udcdf\x1b[31m\x9b1m")
    assert (folder / f"page{NAME}.html").read_text("utf-8").count("<img") >= 4
    status, output, _ = rapidseg("report", f"{NAME}.json", f"{NAME}.json", "-o", "both.html", "--json")
    assert status == 0
    assert json.loads(output)["written"] == "both.html"


def test_checking_preparing_and_drawing_data(rapidseg, folder: Path) -> None:
    status, output, _ = rapidseg("data", "check", f"{NAME}.yaml")
    assert status == 2
    assert r"i/k\udcdf\x1b[31m\x9b1m" in output
    status, output, _ = rapidseg("data", "check", f"{NAME}.yaml", "--json")
    assert (status, output.isascii()) == (2, True)
    assert NAME in json.loads(output)["findings"][0]["files"][0]["path"]
    status, output, error = rapidseg("data", "prepare", "cityscapes", "c", "--workers", "1")
    assert status == 1
    assert "4 masks drawn" in output
    assert r"skipped: gtFine/train/k\udcdf\x1b[31m\x9b1m" in error
    status, output, _ = rapidseg("data", "prepare", "cityscapes", "c", "--json")
    assert NAME in json.loads(output)["broken"][0]["path"]
    words = ["data", "synth", NAME, "--images", "1", "--val-images", "0", "--image-size", "64x128", "--workers", "1"]
    status, output, _ = rapidseg(*words)
    assert status == 0
    assert output.startswith(r"k\udcdf\x1b[31m\x9b1m")
    assert len(list((folder / NAME).rglob("*.png"))) == 3


@pytest.mark.faults
def test_import_and_export(rapidseg, folder: Path) -> None:
    import torch

    from rapidseg.models import create_model, load_model, save_model
    from rapidseg.runtime.model_file import read_spec

    torch.manual_seed(0)
    save_model(create_model("fast-scnn", labels=CITYSCAPES, width=0.25).eval(), folder / f"w{NAME}.safetensors")
    status, output, error = rapidseg("import", f"w{NAME}.safetensors", "-o", f"i{NAME}.safetensors")
    assert (status, error) == (0, "")
    assert r"wrote ik\udcdf\x1b[31m\x9b1m" in output
    load_model(folder / f"i{NAME}.safetensors")
    status, output, _ = rapidseg("export", f"i{NAME}.safetensors", "--json")
    assert status == 0
    assert json.loads(output)["file"] == f"i{NAME}.onnx"
    read_spec(folder / f"i{NAME}.onnx")
    assert rapidseg("predict", f"i/{NAME}0.png", "-m", f"i{NAME}.onnx", "-o", "o", "--engine", "onnxruntime")[0] == 0


@pytest.mark.parametrize("rapidseg", ["cp1252"], indirect=True)
@pytest.mark.parametrize(
    "words",
    [
        ["predict", f"no{NAME}"],
        ["predict", "--model", f"no{NAME}"],
        ["predict", f"--no{NAME}"],
        ["predict", "--engine", NAME],
        ["predict", "--input-size", NAME],
        ["predict", "-o", f"i/{NAME}0.png"],
        ["eval", "--data", f"no{NAME}.yaml"],
        ["eval", "--data", NAME],
        ["export", f"no{NAME}.safetensors"],
        ["export", f"no{NAME}.safetensors", "-o", f"{NAME}.txt"],
        ["import", f"no{NAME}.pth"],
        ["import", f"{NAME}.yaml"],
        ["report", f"no{NAME}.json"],
        ["report", f"{NAME}.yaml"],
        ["train", f"no{NAME}.yaml", "-o", "r"],
        ["train", NAME, "-o", "r"],
        ["models", "show", NAME],
        ["tune", NAME, "--min-fps", "1"],
        ["benchmark", NAME],
        ["data", "check", f"no{NAME}.yaml"],
        ["data", "prepare", NAME, "x"],
        ["data", "prepare", "cityscapes", f"no{NAME}"],
        ["data", "synth", f"{NAME}.yaml", "--images", "1"],
        [NAME],
        [f"--{NAME}"],
    ],
    ids=lambda words: " ".join(words).replace(NAME, "NAME"),
)
def test_messages(words: list[str], rapidseg, folder: Path) -> None:
    status, output, error = rapidseg(*words)
    assert (status, output) == (2, "")
    assert error


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["cp1252", "C"],
)
def test_a_program_in_such_a_terminal(variables: dict[str, str], folder: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    words = ["predict", f"i/{NAME}0.png", "--model", f"{NAME}.onnx", "-o", f"out{NAME}"]
    done = subprocess.run(
        [sys.executable, "-m", "rapidseg", *words],
        env={**os.environ, "PYTHONPATH": str(root / "src"), **variables},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"record: outk\udcdf\x1b[31m" in done.stdout
    assert json.loads((folder / f"out{NAME}/predictions.json").read_bytes())["complete"] is True
