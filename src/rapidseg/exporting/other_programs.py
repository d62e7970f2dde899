"""Runs a model file as programs other than RapidSeg do: the file as it is, without RapidSeg's engines around it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from rapidseg.core.spec import ModelSpec
from rapidseg.system.cpu import cpu_count

OPENCV = "opencv"


def run_openvino(path: Path, images: np.ndarray) -> np.ndarray:
    """Returns what a file returns in OpenVINO, in float32 on the CPU, for images, (N, H, W, 3) uint8 RGB."""
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cpu_count()}
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(list(images.shape))
    return np.array(core.compile_model(model, "CPU", settings)(images)[0])


def run_onnxruntime(path: Path, images: np.ndarray) -> np.ndarray:
    """Returns what a file returns in ONNX Runtime, on the CPU, for images, (N, H, W, 3) uint8 RGB."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cpu_count()
    options.log_severity_level = 3  # errors only: its warnings are about folding constants
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    output: np.ndarray = session.run(None, {"image": images})[0]
    return output


def run_opencv(path: Path, images: np.ndarray) -> np.ndarray:
    """Returns what a static file returns in OpenCV, for one image, (1, H, W, 3) uint8 RGB.

    OpenCV 4 returns class maps as float32.
    """
    with _quiet_opencv():
        network = cv2.dnn.readNetFromONNX(str(path))
        network.setInput(images)
        return np.array(network.forward())


def programs_for(spec: ModelSpec) -> Mapping[str, Callable[[Path, np.ndarray], np.ndarray]]:
    """Returns the installed programs that a file is for, by name.

    OpenCV runs static files only. INT8 is computed by OpenCV in a way of its own, whose results are up to 2 % of all
    pixels away from those of the other programs, so INT8 files are not for it.
    """
    programs = {"openvino": run_openvino}
    if importlib.util.find_spec("onnxruntime"):
        programs["onnxruntime"] = run_onnxruntime
    if spec.static_size is not None and spec.quantization is None:
        programs[OPENCV] = run_opencv
    return programs


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Silences OpenCV's log, which goes to standard error; its errors are raised as well."""
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
