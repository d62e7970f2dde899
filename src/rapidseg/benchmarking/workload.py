"""Ours, measured: the path of `rapidseg.load` and of `rapidseg predict`, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.benchmarking.configuration import Configuration
from rapidseg.benchmarking.interleaving import Samples, repeat_for
from rapidseg.imaging import read_image
from rapidseg.runtime import Result, load
from rapidseg.runtime.saving import DEFAULT_KINDS, OutputFolder

PATH_STAGES = ("prepare", "network", "class_map")  # from an image in memory to its class map in memory
STAGES = ("decode", *PATH_STAGES, "draw", "write")  # from file to file

_LEAST_FRAMES = 3  # of a stream; more where they take less than twice the time of a turn


class RapidSegWorkload:
    """One configuration, loaded and warm."""

    def __init__(self, configuration: Configuration, image: Path, scratch: Path | None) -> None:
        """Loads, compiles and runs everything once.

        Args:
            configuration: what to measure.
            image: a file of `configuration.image_size_hw`.
            scratch: a folder to write to, for reading, drawing, writing and the stream; None leaves them out.

        Raises:
            RapidSegError: as for `rapidseg.load`, or the engine cannot take a batch.
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
        """Returns what `load` took."""
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
        """Measures memory to memory for so long, then half as long with files, then a stream for about twice as long.

        Returns:
            Milliseconds of each batch: `path`, and the stages in it; with files `with_io` and its stages; and the
            stream's `stream_frames_per_s`.
        """
        samples: Samples = {}
        for _ in repeat_for(seconds):
            start = time.perf_counter()
            results = self._segment(self._images)
            _note(samples, "path", start)
            for stage in PATH_STAGES:
                samples.setdefault(stage, []).append(sum(result.timings_ms[stage] for result in results))
        if self._folder is not None:
            for _ in repeat_for(seconds / 2):
                self._with_files(self._folder, samples)
            if self._configuration.batch == 1:  # a stream takes images one by one
                frames = max(_LEAST_FRAMES, round(2e3 * seconds / float(np.median(samples["path"]))))
                samples["stream_frames_per_s"] = [self._stream(self._folder, frames)]
        return samples

    def evaluate(
        self,
        data: str,
        root: str | None,
        split: str,
        mapping: str | None,
        progress: Callable[[int, int], None],
    ) -> dict[str, Any]:
        """Scores the model as it is measured: in its precision and at its input size.

        Raises:
            RapidSegError: as for `open_dataset`, `class_mapping_between` and `evaluate`.
        """
        from rapidseg.data import open_dataset
        from rapidseg.evaluation import class_mapping_between, evaluate

        dataset = open_dataset(data, root, split)
        found = class_mapping_between(self._segmenter.spec.labels, dataset.labels, mapping)

        def predict(image: np.ndarray) -> np.ndarray:
            return self._segmenter(image, input_size=self._configuration.input_size).class_map

        evaluation = evaluate(predict, dataset, class_mapping=None if found is None else found[1], progress=progress)
        return {
            "dataset": dataset.name,
            "split": dataset.split,
            "num_images": len(dataset),
            "mean_iou": evaluation.scores.mean_iou,
        }

    def _segment(self, images: list[np.ndarray]) -> list[Result]:
        """Segments all images in one run of the network; each result has an equal share of its time."""
        size = self._configuration.input_size
        if len(images) == 1:
            return [self._segmenter(images[0], input_size=size)]
        return self._segmenter.batch(images, input_size=size, max_batch=len(images))

    def _with_files(self, folder: OutputFolder, samples: Samples) -> None:
        start = time.perf_counter()
        images = [read_image(self._image) for _ in self._images]
        _note(samples, "decode", start)
        saved = [folder.save(replace(result, source=self._image)) for result in self._segment(images)]
        _note(samples, "with_io", start)
        for stage in ("draw", "write"):
            samples.setdefault(stage, []).append(sum(entry["timings_ms"][stage] for entry in saved))

    def _stream(self, folder: OutputFolder, frames: int) -> float:
        """Returns frames a second of a stream, from reading the first file to having written the last."""
        start = time.perf_counter()
        results = self._segmenter.stream([self._image] * frames, input_size=self._configuration.input_size)
        with closing(results), closing(folder.save_all(results)) as saved:
            for _ in saved:
                pass
        return frames / (time.perf_counter() - start)


def _note(samples: Samples, name: str, start: float) -> None:
    samples.setdefault(name, []).append(1e3 * (time.perf_counter() - start))
