"""`load` and `Segmenter`: from an image in memory to its class map in memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rapidseg.core.errors import EngineError, InputError, ModelFileError
from rapidseg.core.spec import ModelSpec
from rapidseg.imaging import input_size_hw
from rapidseg.runtime.engines import Engine, create_engine
from rapidseg.runtime.kernels.class_map import compiled_fill
from rapidseg.runtime.model_file import find_model, read_spec
from rapidseg.runtime.result import Result
from rapidseg.runtime.streaming import Frame, open_frames

if TYPE_CHECKING:
    from rapidseg.runtime.engines.torch_module import TorchModel

_STAGES = ("compile", "prepare", "network", "class_map")


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
) -> Segmenter:
    """Loads a model for prediction.

    Args:
        model: a model file (.onnx, written by `rapidseg export`), the name of a built-in model, or None for the
            built-in Fast-SCNN; or a file that `rapidseg tune` wrote (.yaml), which says for "auto" what to take.
        engine: "openvino", "onnxruntime" or "torch"; "auto" is PyTorch on an NVIDIA GPU, and OpenVINO on a CPU.
        precision: "float32", "bf16", "fp16" (on GPUs), or "int8" for INT8 files; "auto" is the fastest with which the
            class map stays the same, as measured when the file was exported.
        device: "cpu", "cuda" (an NVIDIA GPU, also "cuda:1"), or another that the engine finds; "auto" is the NVIDIA
            GPU where there is one that PyTorch can use, else the CPU; `segmenter.engine.choice` says what and why.

    Raises:
        ModelFileError: there is no such model, its file is broken or lacks its specification, or is another than was
            tuned.
        ConfigError: a tuned file cannot be read.
        EngineError: the engine is not installed, or the precision or device is not there.
    """
    if model is not None and Path(model).suffix.lower() in (".yaml", ".yml"):
        return _load_tuned(Path(model), engine, precision, device)
    path = find_model(model)
    spec = read_spec(path)
    compiled_fill()  # here, so that the first image does not wait for it
    return Segmenter(create_engine(path, spec, engine=engine, precision=precision, device=device), spec, path)


def _load_tuned(file: Path, engine: str, precision: str, device: str) -> Segmenter:
    """Loads the model of a tuned file; "auto" is what the file says."""
    from rapidseg.runtime.tuned_file import read_tuned

    tuned, path = read_tuned(file)
    spec = read_spec(path).model_copy(update={"input_short_side": tuned.input_short_side})
    as_tuned = (engine, precision, device) == ("auto", "auto", "auto")
    engine = tuned.engine if engine == "auto" else engine
    precision = tuned.precision if precision == "auto" else precision
    device = tuned.device if device == "auto" else device
    compiled_fill()
    choice = f"{engine}, {precision} and {device}, as {file} says, tuned on {tuned.machine.cpu}" if as_tuned else None
    try:
        started = create_engine(path, spec, engine=engine, precision=precision, device=device, choice=choice)
    except EngineError as error:
        if not as_tuned:
            raise
        raise EngineError(
            f"{file}: was tuned for {engine} in {precision} on the {device} of {tuned.machine.cpu}, which is not to be "
            f"had here: {error}. Run `rapidseg tune` on this machine, or name another engine, precision or device"
        ) from error
    return Segmenter(started, spec, path)


class Segmenter:
    """Segments images with one model. Several threads may use it at the same time.

    Attributes:
        engine: what runs the network; its `name`, `precision` and `device` say what was chosen.
        spec: what the model file says about itself, such as its classes, `spec.labels`.
        path: the model file; None for a model in memory.
    """

    def __init__(self, engine: Engine, spec: ModelSpec, path: Path | None = None) -> None:
        self.engine = engine
        self.spec = spec
        self.path = path

    @classmethod
    def from_model(cls, model: TorchModel) -> Segmenter:
        """Returns a segmenter that runs a PyTorch model as it is, on its own device.

        Args:
            model: a `rapidseg.models.SegmentationModel` in float32, in any mode, which it keeps.
        """
        from rapidseg.runtime.engines.torch_module import TorchEngine

        return cls(TorchEngine(model), model.spec)

    def __call__(
        self, image: np.ndarray, *, input_size: int | tuple[int, int] | None = None, confidence: bool = False
    ) -> Result:
        """Segments one image.

        Args:
            image: (H, W, 3) uint8 RGB of any size. (OpenCV reads BGR: turn it with `image[:, :, ::-1]`.) With engine
                "torch" also a PyTorch tensor on the engine's device; the class map then stays there, too.
            input_size: at which size the network sees the image: pixels of the shorter side, the shape being kept,
                or (height, width). None: the size that the model was made for, or else the image's own. Images with
                a side below 32 pixels are enlarged. The class map always has the image's own size.
            confidence: also give `result.confidence`, the softmax of each pixel's class.

        Raises:
            InputError: the image is not (H, W, 3) uint8, or `input_size` has a side below 32.
        """
        engine, backend = self.engine, self.engine.backend
        check_image(image, tensor=backend.accepts_tensor(image))
        image_hw = (int(image.shape[0]), int(image.shape[1]))
        events = [backend.record_event()]
        if input_size is None:
            input_size = self.spec.input_short_side
        size_hw = input_size_hw(image_hw, input_size, self.spec.stride)
        engine.compile((1, *size_hw, 3))
        events.append(backend.record_event())
        uploaded = engine.upload(backend.resize(image, size_hw)[None])
        events.append(backend.record_event())
        logits = engine.infer(uploaded)
        self._check(logits)
        events.append(backend.record_event())
        maps, confidences = backend.class_maps(
            logits, image_hw, align_corners=self.spec.align_corners, confidence=confidence
        )
        class_map = backend.to_input_type(maps[0], image)
        certainty = None if confidences is None else backend.to_input_type(confidences[0], image)
        events.append(backend.record_event())
        timings_ms = backend.timings_ms(_STAGES, events)
        return Result(class_map, self.spec.labels, image, size_hw, timings_ms, confidence=certainty)

    def logits(self, image: np.ndarray) -> np.ndarray:
        """Returns the logits, (K, h, w) float32, of an image that the network sees as it is.

        Args:
            image: (H, W, 3) uint8 RGB, each side 32 pixels or more.
        """
        logits = self.engine.run(image[None])
        self._check(logits)
        one: np.ndarray = logits[0]
        return one

    def class_map(self, image: np.ndarray) -> np.ndarray:
        """Returns only the class map, (H, W) uint8, of an image; what evaluation takes as a predictor."""
        return self(image).class_map

    def stream(
        self,
        source: str | os.PathLike[str] | Iterable[Any],
        *,
        input_size: int | tuple[int, int] | None = None,
        confidence: bool = False,
        on_error: Callable[[Path | int, InputError], None] | None = None,
    ) -> Generator[Result, None, None]:
        """Segments images one after the other while the next ones are being read in other threads.

        Order is kept and only a few images are in memory at a time. Reading ends when the iteration ends, whether at
        the end of the source, by `break` or by an exception.

        Args:
            source: a video file, an image file, a folder or a glob of images; or an iterable of images in memory
                (as for a call) and of paths of image files.
            input_size, confidence: as for a call.
            on_error: called with path or number and the error of an image that cannot be read or has a wrong shape,
                which is then left out. None: the error is raised.

        Raises:
            InputError: the source matches nothing or is no video; `input_size` has a side below 32.
            ImageError: an image cannot be read.
        """
        input_size_hw((32, 32), input_size)  # a wrong size is wrong for all images: raise it here
        return self._stream(open_frames(source), input_size, confidence, on_error)

    def _check(self, logits: Any) -> None:
        if logits.shape[1] != self.spec.labels.num_classes:
            raise ModelFileError(
                f"{self.path or self.spec.architecture}: gives {logits.shape[1]} classes, but its specification names "
                f"{self.spec.labels.num_classes}; export the model again"
            )

    def _stream(
        self,
        frames: Generator[Frame, None, None],
        input_size: int | tuple[int, int] | None,
        confidence: bool,
        on_error: Callable[[Path | int, InputError], None] | None,
    ) -> Generator[Result, None, None]:
        with contextlib.closing(frames):
            for frame in frames:
                try:
                    if isinstance(frame.image, InputError):
                        raise frame.image
                    result = self(frame.image, input_size=input_size, confidence=confidence)
                except InputError as error:
                    if on_error is None:
                        raise
                    on_error(frame.source, error)
                    continue
                timings_ms = {"decode": frame.decode_ms, **result.timings_ms}
                yield replace(result, source=frame.source, timings_ms=timings_ms)


def check_image(image: Any, *, tensor: bool = False) -> None:
    """Raises `InputError` unless the image is an (H, W, 3) uint8 array, with a hint for the usual other layouts.

    Args:
        image: what came.
        tensor: whether it is no array, but of a kind that the engine takes as well.
    """
    if not tensor and not isinstance(image, np.ndarray):
        raise InputError(
            f"an image must be an (H, W, 3) uint8 RGB array, not {type(image).__name__}; "
            "read files with rapidseg.imaging.read_image, turn other images into arrays with numpy.asarray"
        )
    hint = ""
    if image.ndim == 2:
        hint = "repeat its gray values in three channels"
    elif image.ndim == 4:
        hint = "give one image at a time"
    elif image.ndim == 3 and image.shape[2] == 4:
        hint = "leave the fourth channel out: image[:, :, :3]"
    elif image.ndim == 3 and image.shape[2] != 3 and image.shape[0] == 3:
        hint = "move its channels to the end: image.transpose(1, 2, 0)"
    elif image.ndim != 3 or image.shape[2] != 3:
        hint = "give three channels, red, green and blue"
    elif 0 in image.shape:
        hint = "it has no pixels"
    elif str(image.dtype).rpartition(".")[2] != "uint8":
        hint = "give values from 0 to 255 as uint8, not normalized; the model file does the rest"
    if hint:
        raise InputError(
            f"an image must be (H, W, 3) uint8 RGB, but this one is {tuple(image.shape)} {image.dtype}; {hint}"
        )
