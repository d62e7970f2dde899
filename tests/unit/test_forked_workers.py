"""Segmenters in forked workers: one error instead of a wait without end, and a way that works."""

import json
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rapidseg
from rapidseg.core.errors import EngineError
from rapidseg.runtime.engines.process_check import Turn
from tests.support.documents import blocks
from tests.support.tiny_onnx import write_tiny_onnx

ROOT = Path(__file__).resolve().parents[2]

# Runs each job in a forked process and prints what it raised, or "hangs" after some seconds.
PROGRAM = """
import json, os, signal, sys
import numpy as np
import rapidseg

model, engine = sys.argv[1:]
image = np.zeros((1200, 1600, 3), np.uint8)
small = image[:64, :96]
options = {"input_size": (64, 96)}
segmenter = rapidseg.load(model, engine=engine)
segmenter(image, **options)
running = segmenter.stream([image] * 9, **options)
next(running)

def load_again():
    return rapidseg.load(model, engine=engine)(image, **options)

jobs = {
    "call": lambda: segmenter(small),
    "batch": lambda: segmenter.batch([small, small]),
    "stream": lambda: next(segmenter.stream([small])),
    "running stream": lambda: next(running),
    "logits": lambda: segmenter.logits(small),
    "class_map": lambda: segmenter.class_map(small),
    "engine": lambda: segmenter.engine.run(small[None]),
    "load again": load_again,
}
for name, job in jobs.items():
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        try:
            job()
            text = "works"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    text = os.read(read, 9999).decode()
    print(json.dumps([name, text if os.waitpid(child, 0)[1] == 0 else "hangs"]), flush=True)
next(running)
segmenter(image, **options)
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@needs_fork
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_every_use_in_a_forked_process_is_one_error(tmp_path, engine):
    model = write_tiny_onnx(tmp_path / "tiny.onnx")
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model), engine],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    results = dict(map(json.loads, done.stdout.splitlines()))
    again = results.pop("load again")
    stream = results.pop("running stream")
    assert stream.startswith("EngineError: this stream was begun in another process; call rapidseg.load and begin the")
    assert len(results) == 6
    for text in results.values():
        assert text.startswith("EngineError: this segmenter was loaded in another process; call rapidseg.load in the")
    if engine == "onnxruntime":  # its threads belong to a session
        assert again == "works"
    else:
        library = {"openvino": "OpenVINO", "torch": "PyTorch"}[engine]
        assert again.startswith(f"EngineError: {library} ran a network before process")
        assert 'start workers with multiprocessing.get_context("spawn")' in again


def test_a_segmenter_that_is_sent_to_a_worker_is_one_error(tmp_path):
    segmenter = rapidseg.load(write_tiny_onnx(tmp_path / "tiny.onnx"))
    with pytest.raises(EngineError, match=r"cannot be sent to another process; send the name of its model and call"):
        pickle.dumps(segmenter)
    with pytest.raises(EngineError, match="cannot be sent to another process"):
        multiprocessing.get_context("spawn").Process(target=print, args=(segmenter,)).start()


@pytest.mark.faults
def test_the_example_of_the_page_on_workers_runs(tmp_path):
    (code,) = (block.code for block in blocks(ROOT / "docs" / "workers.md") if block.language == "python")
    (tmp_path / "example.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 4


def test_results_can_be_sent_back(tmp_path):
    segmenter = rapidseg.load(write_tiny_onnx(tmp_path / "tiny.onnx"))
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    for result in (segmenter(image, confidence=True), *segmenter.batch([image, image])):
        sent = pickle.loads(pickle.dumps(result))
        np.testing.assert_array_equal(sent.class_map, result.class_map)
        np.testing.assert_array_equal(sent.probabilities(), result.probabilities())
        assert dict(sent.timings_ms) == dict(result.timings_ms)


def test_a_turn_is_for_threads_of_one_process_only(monkeypatch):
    turn = Turn()
    with turn:
        pass
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(EngineError, match="process -1 was forked from"), turn:
        pass
