"""A model as a person names it, ready to run: a built-in name, an exported file or a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rapidseg.runtime import Segmenter

_CHECKPOINTS = (".safetensors", ".pth", ".pt", ".ckpt", ".tar")


def open_segmenter(model: str | None, *, engine: str, precision: str, device: str) -> Segmenter:
    """Opens a model in the engine that it needs.

    Args:
        model: an exported file, a checkpoint, the name of a built-in model, or None for the first of those.
        engine: for exported files; checkpoints run in PyTorch.
        precision: for exported files; checkpoints run in float32.
        device: "auto" takes a GPU where PyTorch finds one, else the CPU.

    Raises:
        EngineError: engine, precision or device do not go with the model, or are not there.
        ModelFileError: there is no such model, or its file cannot be used.
    """
    if model is None or not model.endswith(_CHECKPOINTS):
        from rapidseg import load
        from rapidseg.cli.console import warn_of_engine

        segmenter = load(model, engine=engine, precision=precision, device=device)
        warn_of_engine(segmenter.engine)
        return segmenter
    from rapidseg.core.errors import EngineError

    if engine not in ("auto", "torch") or precision not in ("auto", "float32"):
        raise EngineError(
            f"{model} is a checkpoint, which runs in PyTorch in float32; leave --engine and --precision out, "
            "or write an .onnx file first with `rapidseg export`"
        )
    from rapidseg.importing import load_checkpoint
    from rapidseg.runtime import Segmenter

    return Segmenter.from_model(load_checkpoint(model).to(_torch_device(device)))


def _torch_device(device: str) -> str:
    import torch

    from rapidseg.core.errors import EngineError

    if device not in ("auto", "cpu", "cuda"):
        raise EngineError(f"a checkpoint has no device {device!r}; give auto, cpu or cuda")
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise EngineError("PyTorch finds no CUDA GPU; take device cpu, or install a CUDA build of PyTorch")
    return "cuda" if there and device != "cpu" else "cpu"
