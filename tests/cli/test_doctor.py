"""`rapidseg doctor`, and what it looks at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import rapidseg as package
from rapidseg.diagnosis import installation, self_test
from rapidseg.system import caches, machine
from rapidseg.system.gpus import find_gpus
from tests.support.tiny_onnx import write_tiny_onnx


def test_prediction_works_here(rapidseg):
    status, output, error = rapidseg("doctor", "--json")
    assert (status, error) == (0, "")
    document = json.loads(output)
    assert document["ok"] is True
    assert document["versions"]["rapidseg"] == package.__version__
    assert document["versions"]["openvino"]
    assert document["machine"]["cpus"] >= 1
    assert document["machine"]["memory_bytes"] is None or document["machine"]["memory_bytes"] > 1 << 28
    assert [engine["name"] for engine in document["engines"]] == ["openvino", "onnxruntime", "torch"]
    assert "CPU" in document["engines"][0]["devices"]
    assert document["caches"]["writable"] is True
    assert {extra["name"] for extra in document["extras"]} >= {"onnxruntime", "export", "train", "all"}
    assert document["chosen"]["engine"] == "openvino"
    assert document["chosen"]["choice"] == package.load().engine.choice
    assert document["self_test"]["passed"] is True
    shares, agreement = document["self_test"]["findings"]
    assert "shares of classes on the sample" in shares
    assert "the same class as ONNX Runtime in float32 at" in agreement


def test_a_model_is_asked_for_in_words(rapidseg, tmp_path):
    write_tiny_onnx(tmp_path / "tiny.onnx")
    status, output, _ = rapidseg("doctor", "tiny.onnx")
    assert status == 0
    text = " ".join(output.split())
    for words in ("versions", "machine", "CPUs usable", "extra train", "takes openvino,", "tiny.onnx", "self test"):
        assert words in text
    assert "ok: prediction works" in text


def test_a_model_that_does_not_load_is_not_ok(rapidseg, tmp_path):
    (tmp_path / "broken.onnx").write_text("no model")
    status, output, _ = rapidseg("doctor", "broken.onnx")
    assert status == 1
    assert "fails: broken.onnx: is not an ONNX file" in " ".join(output.split())
    assert "not ok: prediction does not work as it should" in output


def test_wrong_results_are_not_ok(rapidseg, monkeypatch, tmp_path):
    expected = json.loads(self_test.EXPECTED.read_text())
    names = list(expected["class_shares"])
    expected["class_shares"][names[0]] += 0.01
    monkeypatch.setattr(self_test, "EXPECTED", tmp_path / "self-test.json")
    self_test.EXPECTED.write_text(json.dumps(expected))
    status, output, _ = rapidseg("doctor", "--json")
    assert status == 1
    assert "differs most, by 1.0" in json.loads(output)["self_test"]["findings"][0]
    self_test.EXPECTED.write_text(json.dumps(expected | {"checksum": "0"}))
    (finding,) = json.loads(rapidseg("doctor", "--json")[1])["self_test"]["findings"][:1]
    assert finding == "self-test.json belongs to other weights than the built-in model; install the package again"


def test_the_expected_shares_are_those_of_the_model_in_the_package():
    """Fails where the built-in model was replaced without scripts/package_weights.py."""
    found = self_test.expected_document(package.load(precision="float32"))
    expected = json.loads(self_test.EXPECTED.read_text())
    assert found["checksum"] == expected["checksum"]
    # Sums in another order, on another processor, move borders between classes by a pixel here or there.
    assert found["class_shares"] == pytest.approx(expected["class_shares"], abs=1e-4)


def test_the_cache_is_cleared_of_what_comes_back_by_itself(rapidseg, monkeypatch, tmp_path):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    for name in ("openvino", "downloads"):
        (tmp_path / "cache" / name).mkdir(parents=True)
        (tmp_path / "cache" / name / "file").write_bytes(bytes(2_000_000))
    held = {cache.name: (cache.files, cache.size_bytes) for cache in caches.find_caches().held}
    assert held == {"numba": (0, 0), "openvino": (1, 2_000_000), "downloads": (1, 2_000_000)}
    assert caches.clear_caches() == 2_000_000
    assert not (tmp_path / "cache" / "openvino").exists()
    assert (tmp_path / "cache" / "downloads" / "file").exists()
    assert "deleted 0.0 MB" in rapidseg("doctor", "--clear-cache", "--json")[2]


def test_a_cache_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "file"))
    found = caches.find_caches()
    assert (found.writable, found.held) == (False, ())


def test_missing_packages_are_named_with_their_extra(monkeypatch):
    complete = {extra.name: extra for extra in installation.find_extras()}
    assert complete["train"].missing == ()
    assert complete["train"].command == "pip install 'rapidseg[train]'"
    real = installation.find_version
    monkeypatch.setattr(installation, "find_version", lambda name: None if name == "safetensors" else real(name))
    lacking = {extra.name: extra.missing for extra in installation.find_extras()}
    assert lacking["export"] == lacking["train"] == ("safetensors",)  # through the extra that it names
    assert lacking["onnxruntime"] == ()


def test_limits_of_a_container_are_seen(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text(f"{1 << 28}\n")
    found = machine.find_machine()
    assert found.cpu_quota == 1.5
    assert found.memory_bytes in (1 << 28, None)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.find_machine().cpu_quota is None


def test_gpus_that_the_driver_lists(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB, 570.86'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path('/bin')}")
    assert find_gpus()["driver"] == [{"name": "NVIDIA H200", "memory": "143771 MiB", "driver": "570.86"}]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert find_gpus()["driver"] == []


def test_every_engine_says_why_it_was_taken():
    assert "float32, as requested" in package.load(precision="float32").engine.choice
