"""`load`: a model file or tuned file, ready to segment images."""

from __future__ import annotations

import os
from pathlib import Path

from rapidseg.core.errors import EngineError
from rapidseg.runtime.engines import create_engine
from rapidseg.runtime.kernels.class_map import compiled_fill
from rapidseg.runtime.model_file import find_model, read_spec
from rapidseg.runtime.segmenter import Segmenter
from rapidseg.runtime.tuned_file import read_tuned


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
) -> Segmenter:
    """Loads a model file; `rapidseg.load` also loads checkpoints and published models.

    Args:
        model: a model file (.onnx, written by `rapidseg export`), the name of a built-in model, or None for the
            built-in Fast-SCNN; or a file that `rapidseg tune` wrote (.yaml), which sets what is "auto" here.
        engine: "openvino", "onnxruntime" or "torch"; "auto" is PyTorch on an NVIDIA GPU, and OpenVINO on a CPU.
        precision: "float32", "bf16", "fp16" (on GPUs), or "int8" for INT8 files; "auto" is the fastest that keeps the
            class map, as measured when the file was exported.
        device: "cpu", "cuda" (an NVIDIA GPU, also "cuda:1"), or another that the engine supports; "auto" is the NVIDIA
            GPU if PyTorch can use one, else the CPU. `segmenter.engine.choice` says which was chosen, and why.

    Raises:
        ModelFileError: the model does not exist, is damaged, has no specification, or is not the one that was tuned.
        ConfigError: a tuned file cannot be read.
        EngineError: the engine is not installed, or the precision or device is not available.
    """
    if model is not None and Path(model).suffix.lower() in (".yaml", ".yml"):
        return _load_tuned(Path(model), engine, precision, device)
    path = find_model(model)
    spec = read_spec(path)
    compiled_fill()  # now, so that the first image does not wait for it
    return Segmenter(create_engine(path, spec, engine=engine, precision=precision, device=device), spec, path)


def _load_tuned(file: Path, engine: str, precision: str, device: str) -> Segmenter:
    """Loads the model of a tuned file, which sets what is "auto"."""
    tuned, path = read_tuned(file)
    spec = read_spec(path).model_copy(update={"input_short_side": tuned.input_short_side})
    as_tuned = (engine, precision, device) == ("auto", "auto", "auto")
    engine = tuned.engine if engine == "auto" else engine
    precision = tuned.precision if precision == "auto" else precision
    device = tuned.device if device == "auto" else device
    compiled_fill()
    choice = f"{engine}, {precision} and {device}, as set in {file}, tuned on {tuned.machine.cpu}" if as_tuned else None
    try:
        started = create_engine(path, spec, engine=engine, precision=precision, device=device, choice=choice)
    except EngineError as error:
        if not as_tuned:
            raise
        raise EngineError(
            f"{file}: tuned for {engine} in {precision} on the {device} of {tuned.machine.cpu}, which is not available "
            f"here: {error}. Run `rapidseg tune` on this machine, or pass another engine, precision or device"
        ) from error
    return Segmenter(started, spec, path)
