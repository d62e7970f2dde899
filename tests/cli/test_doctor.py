"""`rapidseg doctor`, with everything in place and with packages that are missing or broken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

import rapidseg as package
from rapidseg.core.errors import ModelFileError
from rapidseg.diagnosis import installation, self_test
from rapidseg.workflows.doctor import doctor
from tests.support.tiny_onnx import write_tiny_onnx


def test_prediction_works_here(rapidseg):
    status, output, error = rapidseg("doctor", "--json")
    assert (status, error) == (0, "")
    document = json.loads(output)
    assert document["ok"] is True
    assert [problem for problem in document["problems"] if problem["required"]] == []
    assert document["versions"]["rapidseg"] == package.__version__
    assert document["versions"]["openvino"]
    assert document["machine"]["cpus"] >= 1
    assert document["machine"]["memory_bytes"] is None or document["machine"]["memory_bytes"] > 1 << 28
    assert [engine["name"] for engine in document["engines"]] == ["openvino", "onnxruntime", "torch"]
    assert "CPU" in document["engines"][0]["devices"]
    assert document["cache"]["writable"] is True
    assert {extra["name"] for extra in document["extras"]} >= {"onnxruntime", "export", "train", "all"}
    assert document["chosen"]["engine"] == "openvino"
    assert document["chosen"]["choice"] == package.load().engine.choice
    assert document["self_test"]["passed"] is True
    shares, agreement = document["self_test"]["findings"]
    assert "class shares on the sample image: largest difference" in shares
    assert "of the pixels have the same class as with ONNX Runtime in float32" in agreement


def test_a_model_is_asked_for_in_words(rapidseg, tmp_path):
    write_tiny_onnx(tmp_path / "tiny.onnx")
    status, output, _ = rapidseg("doctor", "tiny.onnx")
    assert status == 0
    text = " ".join(output.split())
    for words in (
        "versions",
        "machine",
        "usable CPUs",
        "extras complete: ",
        "uses openvino,",
        "tiny.onnx",
        "self-test",
    ):
        assert words in text
    assert "OK: prediction works" in text


def test_a_model_that_does_not_load_is_not_ok(rapidseg, tmp_path):
    (tmp_path / "broken.onnx").write_text("no model")
    status, output, _ = rapidseg("doctor", "broken.onnx")
    assert status == 1
    assert "failed: broken.onnx is not an ONNX file" in " ".join(output.split())
    assert "FAILED: prediction does not work as it should" in output


@pytest.mark.parametrize("name", ["nope", "nope.onnx", "folder/nope.pth", "fast-scnn-camvis"])
def test_a_mistyped_model_is_the_message_of_every_command(rapidseg, name):
    status, output, error = rapidseg("doctor", name)
    assert (status, output) == (2, "")
    assert error.startswith(f"error: {name}")
    assert "no such file" in error or "is neither a file nor the name of a model" in error
    assert rapidseg("predict", "-m", name)[2].endswith(error)  # after the note about the sample
    assert ("did you mean 'fast-scnn-camvid'" in error) == (name == "fast-scnn-camvis")
    with pytest.raises(ModelFileError, match=r"no such file|is neither a file nor"):
        doctor(name)


def test_wrong_results_are_not_ok(rapidseg, monkeypatch, tmp_path):
    expected = json.loads(self_test.EXPECTED.read_text())
    names = list(expected["class_shares"])
    expected["class_shares"][names[0]] += 0.01
    monkeypatch.setattr(self_test, "EXPECTED", tmp_path / "self-test.json")
    self_test.EXPECTED.write_text(json.dumps(expected))
    status, output, _ = rapidseg("doctor", "--json")
    assert status == 1
    assert "largest difference 1.0" in json.loads(output)["self_test"]["findings"][0]
    self_test.EXPECTED.write_text(json.dumps(expected | {"checksum": "0"}))
    (finding,) = json.loads(rapidseg("doctor", "--json")[1])["self_test"]["findings"][:1]
    assert finding == "self-test.json belongs to other weights than the built-in model; reinstall the package"


def test_the_expected_shares_are_those_of_the_model_in_the_package():
    """Fails where the built-in model was replaced without scripts/package_weights.py."""
    found = self_test.expected_document(package.load(precision="float32"))
    expected = json.loads(self_test.EXPECTED.read_text())
    assert found["checksum"] == expected["checksum"]
    # Sums in another order, on another processor, move borders between classes by a pixel here or there.
    assert found["class_shares"] == pytest.approx(expected["class_shares"], abs=1e-4)


def test_the_cache_is_cleared_first(rapidseg, monkeypatch, tmp_path):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "openvino").mkdir(parents=True)
    (tmp_path / "cache" / "openvino" / "file").write_bytes(bytes(2_000_000))
    output = rapidseg("doctor", "--clear-cache")[1]
    assert "2.0 MB of compiled code and models" in " ".join(output.split())
    assert not (tmp_path / "cache" / "openvino" / "file").exists()


def test_missing_packages_are_named_with_their_extra(monkeypatch):
    complete = {extra.name: extra for extra in installation.find_extras()}
    assert complete["export"].missing == ()
    assert complete["train"].command == "pip install -c constraints.txt '.[train]'"
    real = installation.find_version
    monkeypatch.setattr(installation, "find_version", lambda name: None if name == "safetensors" else real(name))
    lacking = {extra.name: extra.missing for extra in installation.find_extras()}
    assert lacking["export"] == lacking["train"] == ("safetensors",)  # through the extra that it names
    assert lacking["onnxruntime"] == ()


def test_missing_packages_are_listed_once_below_the_smallest_extra(rapidseg, monkeypatch):
    absent = ("torch", "onnx", "safetensors", "nncf", "lightning", "jinja2")
    real = installation.find_version
    monkeypatch.setattr(installation, "find_version", lambda name: None if name in absent else real(name))
    assert {extra: set(names) for extra, names in installation.find_missing().items()} == {
        "export": {"torch", "onnx", "safetensors"},
        "quantize": {"nncf"},
        "train": {"lightning"},
        "report": {"jinja2"},
    }
    status, output, _ = rapidseg("doctor")
    assert status == 0  # optional packages are information, not problems
    text = " ".join(output.split())
    for name in absent:
        assert text.count(f"{name},") + text.count(f"{name};") == 1, name
    assert re.search(r"complete: [a-z, ]*\bonnxruntime\b", text)
    document = json.loads(rapidseg("doctor", "--json")[1])
    assert sorted(name for entry in document["not_installed"] for name in entry["packages"]) == sorted(absent)
    assert document["not_installed"][0]["command"].startswith("pip install -c constraints.txt '.[")


def test_every_engine_says_why_it_was_taken():
    assert "float32, as requested" in package.load(precision="float32").engine.choice


def test_the_report_is_what_python_gets():
    diagnosis = doctor()
    assert diagnosis.ok
    assert json.loads(json.dumps(diagnosis.to_dict()))["chosen"]["engine"] == "openvino"
    assert not replace(diagnosis, chosen="it does not load").ok


# Runs `doctor` where some packages cannot be found and others cannot be imported, as where their binaries are wrong.
BROKEN_INSTALLATION = """
import importlib.abc, importlib.machinery, importlib.metadata, json, sys
missing, broken, unlisted = (set(words.split()) for words in sys.argv[1:4])

class Blocker(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importlib.machinery.ModuleSpec(name, self) if name in broken else None

    def exec_module(self, module):
        if module.__name__ == "openvino":
            raise OSError("libopenvino.so.2640: cannot open shared object file")
        raise ImportError(f"DLL load failed while importing {module.__name__}", name=module.__name__)

sys.meta_path.insert(0, Blocker())
real = importlib.metadata.distribution
def distribution(name):
    if name.lower() in unlisted:
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.distribution = distribution
sys.argv[1:] = ["doctor", *sys.argv[4:]]
from rapidseg.cli.app import main
main()
"""


def diagnose(*, missing="", broken="", unlisted="", words=("--json",)):
    """Returns exit status and output of `doctor` in a process where packages are missing or broken."""
    command = [sys.executable, "-c", BROKEN_INSTALLATION, missing, broken, unlisted, *words]
    run = subprocess.run(command, capture_output=True, text=True)
    assert "Traceback" not in run.stderr, run.stderr
    return run.returncode, run.stdout


@pytest.mark.parametrize(
    ("packages", "check", "message", "advice"),
    [
        (
            {"missing": "openvino torch", "unlisted": "openvino torch"},
            "openvino",
            "openvino is not installed",
            "run in the clone of RapidSeg: pip install -c constraints.txt .",
        ),
        (
            {"broken": "openvino", "missing": "torch"},
            "openvino",
            "is installed but cannot be imported: OSError: libopenvino.so.2640: cannot open shared object file",
            "--force-reinstall openvino",
        ),
        ({"missing": "numba torch"}, "numba", "files of numba", "--force-reinstall numba"),
        ({"broken": "llvmlite", "missing": "torch"}, "llvmlite", "DLL load failed", "--force-reinstall llvmlite"),
        ({"broken": "cv2", "missing": "torch"}, "cv2", "DLL load failed", "--force-reinstall opencv-python-headless"),
    ],
)
def test_packages_that_prediction_needs(packages, check, message, advice):
    status, output = diagnose(**packages)
    assert status == 1
    document = json.loads(output)
    assert document["ok"] is False
    (problem,) = (problem for problem in document["problems"] if problem["check"] == check)
    assert problem["required"] is True
    assert message in problem["message"]
    assert problem["advice"].endswith(advice)
    for part in ("chosen", "self_test"):
        assert check in document[part]["error"] or "openvino" in document[part]["error"]
    # Every other check is still made.
    assert document["machine"]["cpu"]
    assert document["machine"]["features"]
    assert document["versions"]["numpy"]
    engines = {engine["name"]: engine for engine in document["engines"]}
    assert engines["onnxruntime"]["devices"]
    assert bool(engines["openvino"]["devices"]) == (check != "openvino")


@pytest.mark.parametrize(
    ("packages", "check", "message"),
    [
        ({"broken": "onnxruntime", "missing": "torch"}, "onnxruntime", "DLL load failed while importing onnxruntime"),
        ({"broken": "torch"}, "torch", "DLL load failed while importing torch"),
        ({"unlisted": "rapidseg", "missing": "torch"}, "metadata", "metadata of the installed RapidSeg is missing"),
    ],
)
def test_packages_that_prediction_does_not_need(packages, check, message):
    status, output = diagnose(**packages)
    assert status == 0
    document = json.loads(output)
    assert document["ok"] is True
    (problem,) = (problem for problem in document["problems"] if problem["check"] == check)
    assert problem["required"] is False
    assert message in problem["message"]
    assert {extra["name"] for extra in document["extras"]} >= {"export", "train"}
    assert document["self_test"]["passed"] is True


def test_optional_packages_that_are_not_installed_are_no_problem():
    status, output = diagnose(missing="onnxruntime torch", unlisted="onnxruntime torch")
    document = json.loads(output)
    assert (status, document["problems"]) == (0, [])
    assert [engine["version"] for engine in document["engines"][1:]] == [None, None]
    extras = {extra["name"]: extra["missing"] for extra in document["extras"]}
    assert extras["onnxruntime"] == ["onnxruntime"]


def test_problems_are_printed_with_what_to_do():
    status, output = diagnose(missing="torch", broken="openvino", words=())
    assert status == 1
    assert "error: openvino" in output
    assert "To repair it, run in the clone of RapidSeg: pip install -c constraints.txt" in output
    assert "FAILED: prediction does not work as it should" in output
