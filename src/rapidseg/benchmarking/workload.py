"""RapidSeg's workload: the path of `rapidseg.load` and of `rapidseg predict`, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.benchmarking.accuracy import BenchmarkScore, LabeledData, score_segmenter
from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.interleaving import Samples, repeat_for
from rapidseg.imaging import read_image
from rapidseg.runtime import Result, load
from rapidseg.runtime.output_folder import DEFAULT_KINDS, OutputFolder

PATH_STAGES = ("prepare", "network", "class_map")  # from an image in memory to its class map in memory
STAGES = ("decode", *PATH_STAGES, "draw", "write")  # from file to file

_MIN_FRAMES = 3  # of a stream; more if they take less than twice the time of a measurement


class RapidSegWorkload:
    """A configuration, loaded and warmed up."""

    def __init__(self, configuration: Configuration, image: Path, scratch: Path | None) -> None:
        """Loads and compiles the model, and warms up.

        Args:
            configuration: what to measure.
            image: an image file of size `configuration.image_size_hw`.
            scratch: a folder to write to, for decoding, drawing, writing and the stream; None skips these.

        Raises:
            RapidSegError: as for `rapidseg.load`, or the engine does not support batches.
        """
        self._configuration = configuration
        self._image = image
        self._segmenter = load(
            configuration.model,
            engine=configuration.engine,
            precision=configuration.precision,
            device=configuration.device,
        )
        self._images = [read_image(image)] * configuration.batch
        self._folder = None if scratch is None else OutputFolder(scratch, [image], DEFAULT_KINDS)
        self._input_size_hw = self._segment(self._images)[0].input_size_hw
        for _ in repeat_for(0.5):  # warm-up
            self._segment(self._images)
        if self._folder is not None:
            self._with_files(self._folder, {})

    def describe(self) -> dict[str, Any]:
        """Returns the engine, precision, device and file that `load` chose, the specification and the input size."""
        engine = self._segmenter.engine
        return {
            "engine": engine.name,
            "precision": engine.precision,
            "device": engine.device,
            "choice": engine.choice,
            "path": str(self._segmenter.path),
            "spec": self._segmenter.spec.model_dump(mode="json"),
            "input_size_hw": self._input_size_hw,
        }

    def measure(self, seconds: float) -> Samples:
        """Measures memory to memory for `seconds`, with files for half as long, and a stream for about twice as long.

        Returns:
            Milliseconds of each batch: `path` and its stages; with files `with_io` and its stages; and of the stream
            `stream_frames_per_s`.
        """
        samples: Samples = {}
        for _ in repeat_for(seconds):
            start = time.perf_counter()
            results = self._segment(self._images)
            _record(samples, "path", start)
            for stage in PATH_STAGES:
                samples.setdefault(stage, []).append(sum(result.timings_ms[stage] for result in results))
        if self._folder is not None:
            for _ in repeat_for(seconds / 2):
                self._with_files(self._folder, samples)
            if self._configuration.batch == 1:  # a stream segments single images
                frames = max(_MIN_FRAMES, round(2e3 * seconds / float(np.median(samples["path"]))))
                samples["stream_frames_per_s"] = [self._stream(self._folder, frames)]
        return samples

    def score(
        self,
        data: str,
        root: str | None,
        split: str,
        class_mapping: str | None,
        progress: Callable[[int, int], None],
    ) -> BenchmarkScore:
        """Scores the model as it is measured: in its precision and at its input size.

        Raises:
            RapidSegError: as for `score_segmenter`.
        """
        labeled = LabeledData(data, root, split, class_mapping)
        return score_segmenter(self._segmenter, labeled, self._configuration.input_size, progress)

    def _segment(self, images: list[np.ndarray]) -> list[Result]:
        """Segments all images in one run of the network; each result has an equal share of its time."""
        size = self._configuration.input_size
        if len(images) == 1:
            return [self._segmenter(images[0], input_size=size)]
        return self._segmenter.batch(images, input_size=size, max_batch=len(images))

    def _with_files(self, folder: OutputFolder, samples: Samples) -> None:
        start = time.perf_counter()
        images = [read_image(self._image) for _ in self._images]
        _record(samples, "decode", start)
        saved = [folder.save(replace(result, source=self._image)) for result in self._segment(images)]
        _record(samples, "with_io", start)
        for stage in ("draw", "write"):
            samples.setdefault(stage, []).append(sum(entry["timings_ms"][stage] for entry in saved))

    def _stream(self, folder: OutputFolder, frames: int) -> float:
        """Returns the frames per second of a stream, from reading the first file to writing the last."""
        start = time.perf_counter()
        results = self._segmenter.stream([self._image] * frames, input_size=self._configuration.input_size)
        with closing(results), closing(folder.save_all(results)) as saved:
            for _ in saved:
                pass
        return frames / (time.perf_counter() - start)


def _record(samples: Samples, name: str, start: float) -> None:
    samples.setdefault(name, []).append(1e3 * (time.perf_counter() - start))
