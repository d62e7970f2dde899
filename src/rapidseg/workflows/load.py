"""`load`: a model by name or file, ready to predict."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rapidseg.core.errors import EngineError
from rapidseg.core.progress import SILENT, Progress

if TYPE_CHECKING:
    from rapidseg.runtime import Segmenter

_CHECKPOINTS = (".safetensors", ".pth", ".pt", ".ckpt", ".tar")


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    download: bool = True,
    progress: Progress = SILENT,
) -> Segmenter:
    """Opens a model in the engine that it needs.

    Args:
        model: an exported file, a checkpoint, the name of a built-in model, or None for the first built-in model.
        engine: for exported files; checkpoints run in PyTorch.
        precision: for exported files; checkpoints run in float32.
        device: "auto" is a GPU where PyTorch finds one, else the CPU.
        download: is not used yet.
        progress: is told what a person must know about the choice of the engine.

    Raises:
        EngineError: engine, precision or device do not fit the model, or are not available.
        ModelFileError: the model does not exist, or its file cannot be used.
    """
    name = None if model is None else os.fspath(model)
    if name is None or not name.endswith(_CHECKPOINTS):
        from rapidseg import runtime

        segmenter = runtime.load(name, engine=engine, precision=precision, device=device)
        if segmenter.engine.warning is not None:
            progress.message(f"note: {segmenter.engine.warning}")
        return segmenter
    if engine not in ("auto", "torch") or precision not in ("auto", "float32"):
        raise EngineError(
            f"{name} is a checkpoint, which runs in PyTorch in float32; remove engine and precision, "
            "or write an .onnx file first with `rapidseg export`"
        )
    from rapidseg.importing import load_checkpoint
    from rapidseg.runtime import Segmenter

    return Segmenter.from_model(load_checkpoint(name).to(_torch_device(device)))


def _torch_device(device: str) -> str:
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise EngineError(f"a checkpoint does not run on device {device!r}; choose auto, cpu or cuda")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise EngineError("PyTorch finds no CUDA GPU; choose device cpu, or install a CUDA build of PyTorch")
    return "cuda" if available and device != "cpu" else "cpu"
