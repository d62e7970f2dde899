"""`Segmenter`: from an image to its class map."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rapidseg.core.arguments import check_integer, refusal
from rapidseg.core.errors import EngineError, InputError, ModelFileError, RapidSegError
from rapidseg.core.sizes import InputSizeLike, SizeHW, format_size, to_input_size
from rapidseg.core.spec import ModelSpec
from rapidseg.imaging import ImageInput, check_image, input_size_hw
from rapidseg.runtime.engines import Engine
from rapidseg.runtime.image_errors import image_errors, image_name
from rapidseg.runtime.result import Result
from rapidseg.runtime.streaming import Frame, check_several, is_stored, make_frame, open_frames, own_copy
from rapidseg.runtime.timing import Timings

if TYPE_CHECKING:
    from rapidseg.runtime.engines.torch_module import TorchModel

STAGES = ("compile", "prepare", "network", "class_map")

_MAX_BATCH = 8  # images of `batch` that go through the network at once


class Segmenter:
    """Segments images with one model. Several threads may share it; processes load one each (docs/workers.md).

    Attributes:
        engine: runs the network; its `name`, `precision`, `device` and `choice` say what was chosen, and why.
        spec: the specification of the model, such as its classes, `spec.labels`.
        path: the model file or checkpoint; None for a model in memory.
    """

    def __init__(self, engine: Engine, spec: ModelSpec, path: Path | None = None) -> None:
        self.engine: Engine = engine
        self.spec: ModelSpec = spec
        self.path: Path | None = path

    @classmethod
    def from_model(cls, model: TorchModel, path: Path | None = None) -> Segmenter:
        """Returns a segmenter that runs a PyTorch model on the model's own device.

        Args:
            model: a `rapidseg.models.SegmentationModel` in float32, in training or evaluation mode, which it keeps.
            path: the checkpoint that the model was loaded from.
        """
        from rapidseg.runtime.engines.torch_module import TorchEngine

        return cls(TorchEngine(model), model.spec, path)

    def __call__(
        self,
        image: ImageInput,
        *,
        input_size: InputSizeLike | None = None,
        confidence: bool = False,
        bgr: bool = False,
    ) -> Result:
        """Segments one image.

        Args:
            image: of any size: the path of an image file; the bytes of one (JPEG, PNG, WebP, BMP or TIFF); a PIL image
                of any mode; or an (H, W, 3) uint8 array. EXIF orientation is applied. With engine "torch" also an
                (H, W, 3) uint8 tensor on the engine's device; the class map then stays there.
            input_size: the size at which the network sees the image: pixels of the shorter side, keeping the aspect
                ratio, or (height, width); either also as text, such as "512x1024". None: the size that the model was
                made for, or else the image's own. Images with a side below 32 pixels are enlarged. The class map always
                has the image's own size.
            confidence: whether to compute `result.confidence`, the softmax of each pixel's class.
            bgr: whether arrays and tensors are in BGR, OpenCV's color order, rather than RGB. Files, bytes and PIL
                images know their own.

        Raises:
            ImageError: the image cannot be read.
            InputError: an array is not (H, W, 3) uint8, the image is of another type, or `input_size` has a side below
                32, or makes the image too large.
            EngineError: the engine failed.
        """
        self.engine.check_process()
        frame = make_frame(0, image, self.engine.backend.accepts_tensor, bgr=bgr)
        return self._segment([frame], input_size, confidence)[0]

    def batch(
        self,
        images: Iterable[ImageInput],
        *,
        input_size: InputSizeLike | None = None,
        confidence: bool = False,
        bgr: bool = False,
        max_batch: int = _MAX_BATCH,
        on_error: Callable[[Path | int, RapidSegError], None] | None = None,
    ) -> list[Result]:
        """Segments several images of one or of several sizes; those of one network size go through it together.

        On CPUs this is rarely faster than single calls. A network is compiled for each number of images that it sees
        at once, so lists of one length, or of multiples of `max_batch`, compile once.

        With OpenVINO and ONNX Runtime on CPUs, class maps equal those of single calls bit for bit. PyTorch sums in
        another order for another batch, so logits differ in their last bits, and with them single pixels on borders
        between classes.

        Args:
            images: each as for a call; also an array or tensor (N, H, W, 3). All of them, and all results, are in
                memory at once; `stream` needs less.
            input_size: as for a call.
            confidence: as for a call.
            bgr: as for a call.
            max_batch: images that go through the network at once, at most; 1 or more.
            on_error: called with the path or index and the error of an image that cannot be read or segmented; that
                image is skipped. None: the error is raised.

        Returns:
            The results, in the order of the images, without those that were skipped.

        Raises:
            ImageError, InputError, EngineError: as for a call, or `images` is a single image, or the model file takes
                one image at a time.
        """
        max_batch = check_integer("max_batch", max_batch, 1)
        self.engine.check_process()
        _check_on_error(on_error)
        if self.spec.static_size is not None:
            max_batch = 1
        check_several(images, "a batch", "a list or another iterable of images")
        own = is_stored(images)
        results: dict[int, Result] = {}
        groups: dict[tuple[SizeHW, bool], list[tuple[int, Frame]]] = {}
        for index, image in enumerate(images):
            try:
                frame = make_frame(
                    index, image if own else own_copy(image), self.engine.backend.accepts_tensor, bgr=bgr
                )
                size_hw = self._network_size_hw(frame, input_size)
            except InputError as error:
                if on_error is None:
                    raise
                on_error(Path(image) if isinstance(image, str | os.PathLike) else index, error)
                continue
            groups.setdefault((size_hw, isinstance(frame.image, np.ndarray)), []).append((index, frame))
        for group in groups.values():
            for first in range(0, len(group), max_batch):
                results.update(self._segment_group(group[first : first + max_batch], input_size, confidence, on_error))
        return [results[index] for index in sorted(results)]

    def stream(
        self,
        source: str | os.PathLike[str] | Iterable[ImageInput],
        *,
        input_size: InputSizeLike | None = None,
        confidence: bool = False,
        bgr: bool = False,
        on_error: Callable[[Path | int, RapidSegError], None] | None = None,
    ) -> Generator[Result, None, None]:
        """Segments images one by one, while other threads read the next ones.

        Order is kept, and only a few images are in memory at a time. Reading ends when the iteration ends: at the end
        of the source, by `break` or by an exception.

        Args:
            source: a video file, an image file, a folder or a glob of images; or an iterable of images as for a call.
                Arrays of an iterable that is not a list, tuple or array are copied: a camera may fill one buffer again
                and again.
            input_size: as for a call.
            confidence: as for a call.
            bgr: as for a call.
            on_error: called with the path or index and the error of an image that cannot be read, has a wrong shape or
                cannot be segmented, as where memory is short; that image is skipped. Of a video that ends early, with
                the index of the first missing frame. None: the error is raised.

        Yields:
            A result per image; its `source` is the file's path, or the index of the image or video frame.

        Raises:
            InputError: the source matches nothing or is not a video; `input_size` has a side below 32.
            ImageError: an image cannot be read, memory does not suffice for it, or a video ends early.
            EngineError: the engine failed.
        """
        self.engine.check_process()
        _check_on_error(on_error)
        input_size_hw((32, 32), self._input_size(input_size))  # a wrong size is wrong for all images: raise it here
        frames = open_frames(source, self.engine.backend.accepts_tensor, bgr=bgr)
        return self._stream(frames, input_size, confidence, on_error)

    def logits(self, image: np.ndarray) -> np.ndarray:
        """Returns the logits of an image that the network sees at the image's own size.

        Args:
            image: (H, W, 3) uint8 RGB, each side 32 pixels or more.

        Returns:
            (K, h, w) float32.

        Raises:
            InputError: it is not (H, W, 3) uint8, or not of the size of a static model file.
            ImageError, EngineError: memory does not suffice for it, or the engine failed.
        """
        self.engine.check_process()
        check_image(image)
        size_hw = (int(image.shape[0]), int(image.shape[1]))
        self._input_size(size_hw)
        with image_errors([image_name(None, image)], size_hw, self.engine.name):
            logits = self.engine.run(image[None])
        self._check_logits(logits, 1)
        first: np.ndarray = logits[0]
        return first

    def class_map(self, image: ImageInput) -> np.ndarray:
        """Returns the class map alone, (H, W) uint8, of an image; the predictor that evaluation expects."""
        return self(image).class_map

    def __repr__(self) -> str:
        """Returns the model and what runs it."""
        engine, name = self.engine, self.path.name if self.path else f"{self.spec.architecture} in memory"
        return (
            f"<Segmenter {name}: {self.spec.labels.num_classes} classes; {engine.name}, {engine.precision}, "
            f"{engine.device}>"
        )

    def _network_size_hw(self, frame: Frame, input_size: InputSizeLike | None) -> SizeHW:
        image_hw = (int(frame.image.shape[0]), int(frame.image.shape[1]))
        with image_errors([image_name(frame.source, frame.image)], image_hw, self.engine.name):
            return input_size_hw(image_hw, self._input_size(input_size), self.spec.stride)

    def _segment_group(
        self,
        group: Sequence[tuple[int, Frame]],
        input_size: InputSizeLike | None,
        confidence: bool,
        on_error: Callable[[Path | int, RapidSegError], None] | None,
    ) -> dict[int, Result]:
        """Segments numbered images together; where that fails and `on_error` is given, one by one."""
        try:
            results = self._segment([frame for _, frame in group], input_size, confidence)
        except (InputError, EngineError) as error:
            if on_error is None:
                raise
            if len(group) == 1:
                on_error(group[0][1].source, error)
                return {}
            return {
                index: result
                for numbered in group
                for index, result in self._segment_group([numbered], input_size, confidence, on_error).items()
            }
        return {index: result for (index, _), result in zip(group, results, strict=True)}

    def _input_size(self, input_size: InputSizeLike | None) -> InputSizeLike | None:
        """Returns the size that a caller passed, or the model's own where it is None."""
        static_size = self.spec.static_size
        if input_size is None:
            return self.spec.default_input_size
        if static_size is not None and to_input_size(input_size) != static_size:
            raise InputError(
                f"{self.path or self.spec.architecture} is a static file, whose network sees every image at "
                f"{format_size(static_size)}, and not at {input_size}; omit the input size, or use a model that was "
                "exported without a static size"
            )
        return input_size

    def _segment(self, frames: Sequence[Frame], input_size: InputSizeLike | None, confidence: bool) -> list[Result]:
        """Segments images of one network size, all arrays or all tensors, in one run of the network."""
        size_hw = self._network_size_hw(frames[0], input_size)
        names = [image_name(frame.source, frame.image) for frame in frames]
        with image_errors(names, size_hw, self.engine.name):
            return self._run(frames, size_hw, confidence)

    def _run(self, frames: Sequence[Frame], size_hw: SizeHW, confidence: bool) -> list[Result]:
        engine, backend, spec, count = self.engine, self.engine.backend, self.spec, len(frames)
        images = [frame.image for frame in frames]
        events = [backend.record_event()]
        engine.compile((count, *size_hw, 3))
        events.append(backend.record_event())
        uploaded = engine.upload(_stack([backend.resize(image, size_hw) for image in images]))
        events.append(backend.record_event())
        logits = engine.infer(uploaded)
        self._check_logits(logits, count)
        events.append(backend.record_event())
        maps: list[Any] = []
        confidences: list[Any] = []
        for first, last in _runs([(int(image.shape[0]), int(image.shape[1])) for image in images]):
            some_maps, some_confidences = backend.class_maps(
                logits if last - first == count else logits[first:last],
                (int(images[first].shape[0]), int(images[first].shape[1])),
                align_corners=spec.align_corners,
                confidence=confidence,
            )
            maps += some_maps
            confidences += [None] * (last - first) if some_confidences is None else some_confidences
        maps = [backend.to_input_type(class_map, image) for class_map, image in zip(maps, images, strict=True)]
        confidences = [
            None if certainty is None else backend.to_input_type(certainty, image)
            for certainty, image in zip(confidences, images, strict=True)
        ]
        events.append(backend.record_event())
        timings_ms = backend.timings_ms(STAGES, events)
        if count > 1:
            shared_ms = timings_ms
            timings_ms = Timings(STAGES, lambda: [shared_ms[stage] / count for stage in STAGES])
        return [
            Result(
                maps[index],
                spec.labels,
                images[index],
                size_hw,
                timings_ms if frame.decode_ms is None else {"decode": frame.decode_ms, **timings_ms},
                frame.source if isinstance(frame.source, Path) else None,
                confidences[index],
                logits[index],
                spec.align_corners,
            )
            for index, frame in enumerate(frames)
        ]

    def _check_logits(self, logits: Any, count: int) -> None:
        name, expected = self.path or self.spec.architecture, self.spec.labels.num_classes
        if len(logits.shape) != 4:
            raise ModelFileError(f"{name}: outputs {tuple(logits.shape)} instead of (N, K, h, w); export it again")
        if logits.shape[1] != expected:
            raise ModelFileError(
                f"{name}: outputs {logits.shape[1]} classes, but its specification names {expected}; export it again"
            )
        if len(logits) != count:
            raise EngineError(
                f"{name}: {count} images resulted in logits of shape {tuple(logits.shape)}; the model takes one image "
                "at a time: use a batch of 1"
            )

    def _stream(
        self,
        frames: Generator[Frame, None, None],
        input_size: InputSizeLike | None,
        confidence: bool,
        on_error: Callable[[Path | int, RapidSegError], None] | None,
    ) -> Generator[Result, None, None]:
        with contextlib.closing(frames):
            for frame in frames:
                try:
                    if isinstance(frame.image, InputError):
                        raise frame.image
                    result = self._segment([frame], input_size, confidence)[0]
                except (InputError, EngineError) as error:
                    if on_error is None:
                        raise
                    on_error(frame.source, error)
                    continue
                yield replace(result, source=frame.source)
                del frame, result  # else they would stay in memory while the next image is read


def _check_on_error(on_error: object) -> None:
    if on_error is not None and not callable(on_error):
        raise refusal("on_error", on_error, "a function of the path or index and the error")


def _stack(images: Sequence[Any]) -> Any:
    """Returns images of one size, (H, W, 3), as a batch, (N, H, W, 3): arrays as an array, tensors as a tensor."""
    if len(images) == 1:
        return images[0][None]
    if isinstance(images[0], np.ndarray):
        return np.stack(images)
    batch = images[0].new_empty((len(images), *images[0].shape))
    for index, image in enumerate(images):
        batch[index] = image
    return batch


def _runs(sizes_hw: Sequence[SizeHW]) -> list[tuple[int, int]]:
    """Returns the first index, and the one after the last, of each run of equal sizes."""
    starts = [0, *(index for index in range(1, len(sizes_hw)) if sizes_hw[index] != sizes_hw[index - 1])]
    return list(itertools.pairwise([*starts, len(sizes_hw)]))
