"""Loads a model for prediction, whatever form it has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rapidseg import runtime
from rapidseg.core.choices import EngineChoice, PrecisionChoice
from rapidseg.core.errors import EngineError, ModelFileError
from rapidseg.core.import_errors import dependency_error
from rapidseg.core.progress import DOWNLOADS, Progress
from rapidseg.imaging import IMAGE_SUFFIXES
from rapidseg.workflows.arguments import checked
from rapidseg.workflows.model_cache import is_checkpoint, prepare_model

if TYPE_CHECKING:
    from rapidseg.runtime import Segmenter


@checked("model", "engine", "precision", "device", "download", "progress")
def load(
    model: str | os.PathLike[str] | None = None,
    *,
    engine: EngineChoice = "auto",
    precision: PrecisionChoice = "auto",
    device: str = "auto",
    download: bool = True,
    progress: Progress = DOWNLOADS,
) -> Segmenter:
    """Loads a model for prediction.

    Args:
        model: one of:

            - None: the built-in Fast-SCNN.
            - The name of a built-in model, such as `fast-scnn-camvid-int8`.
            - A model file (.onnx) that `rapidseg export` wrote.
            - A tuned file (.yaml) that `rapidseg tune` wrote; it sets what is "auto" here.
            - A checkpoint (.safetensors, .pth, .pt, .ckpt) of RapidSeg or of a published implementation, its URL,
              `hf://OWNER/NAME` on the Hugging Face Hub, or a folder that `SegmentationModel.save_pretrained` wrote. A
              model file is made of it, once, and kept in the cache; PyTorch is needed only for networks with unusual
              options.
            - The name of a published model, such as `fast-scnn-cityscapes`; `rapidseg models` lists them. Its
              checkpoint is downloaded once, verified and cached; an interrupted download is resumed.
        engine: "openvino", "onnxruntime" or "torch"; "auto" is PyTorch on an NVIDIA GPU, and OpenVINO on a CPU.
        precision: "float32", "bf16", "fp16" (on GPUs), or "int8" for INT8 files; "auto" is the fastest that keeps the
            class map, as measured when the file was exported.
        device: "cpu", "cuda" (an NVIDIA GPU, also "cuda:1"), or another that the engine supports; "auto" is the NVIDIA
            GPU if PyTorch can use one, else the CPU. `segmenter.engine.choice` says which was chosen, and why.
        download: whether a checkpoint that is not cached may be downloaded; `RAPIDSEG_OFFLINE=1` in the environment
            forbids it, too.
        progress: watches the download, and is told about a GPU that cannot be used. The default shows downloads in a
            line on standard error, if that is a terminal; `rapidseg.core.progress.SILENT` shows nothing.

    Raises:
        InputError: an argument has another type.
        ModelFileError: the model does not exist, is damaged, has no specification, or is not downloaded.
        ConfigError: a tuned file cannot be read.
        EngineError: PyTorch or another engine is not installed, or the precision or device is not available.
        RapidSegError: the download fails, or its file is not the published one.
    """
    source = None if model is None else os.fspath(model)
    if source is not None and Path(source).suffix.lower() in IMAGE_SUFFIXES and Path(source).is_file():
        raise ModelFileError(f"{source} is an image, not a model; load a model, then call it with the image")
    if source is not None and is_checkpoint(source):
        segmenter = _load_checkpoint(source, engine, precision, device, download=download, progress=progress)
    else:
        segmenter = runtime.load(source, engine=engine, precision=precision, device=device)
    if segmenter.engine.warning is not None:
        progress.message(f"note: {segmenter.engine.warning}")
    return segmenter


def _load_checkpoint(
    source: str, engine: EngineChoice, precision: PrecisionChoice, device: str, *, download: bool, progress: Progress
) -> Segmenter:
    """Loads a checkpoint file, folder, URL or published name: as a model file, or else in PyTorch."""
    prepared = prepare_model(source, download=download, progress=progress)
    if prepared.model_file is not None:
        segmenter = runtime.load(prepared.model_file, engine=engine, precision=precision, device=device)
        segmenter.path = prepared.checkpoint
        return segmenter
    from rapidseg.importing.model_building import explain_no_template

    assert prepared.content is not None, "a checkpoint without a model file is read into memory"
    options = explain_no_template(prepared.content)
    if engine not in ("auto", "torch") or precision not in ("auto", "float32"):
        wanted = [f"engine {engine}"] * (engine not in ("auto", "torch"))
        wanted += [f"precision {precision}"] * (precision not in ("auto", "float32"))
        raise EngineError(
            f"{source} has options of its network that run only in PyTorch and float32{options}; to use "
            f"{' and '.join(wanted)}, create a model file: rapidseg export {source}"
        )
    try:
        from rapidseg.importing.checkpoint import build_model
        from rapidseg.runtime import Segmenter
    except Exception as error:  # broken packages raise errors of any type
        problem = dependency_error(error, "export")
        if problem is None:
            raise
        raise EngineError(f"{source} has options of its network that need PyTorch{options}. {problem}") from error
    network = build_model(prepared.content)
    return Segmenter.from_model(network.to(_torch_device(device)), prepared.checkpoint)


def _torch_device(device: str) -> str:
    import torch

    from rapidseg.system.gpu import find_device

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(find_device(device, "float32"))
