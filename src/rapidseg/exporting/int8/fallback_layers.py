"""Finds the layers of an INT8 file that must stay in floating point, so that accuracy drops no more than allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from rapidseg.core.errors import ExportError
from rapidseg.core.progress import Progress
from rapidseg.core.spec import Score
from rapidseg.exporting.int8.int8_layers import layer_nodes, with_fallback_layers
from rapidseg.exporting.int8.int8_scoring import Scorer
from rapidseg.exporting.int8.int8_verification import logits_error
from rapidseg.exporting.network_images import NetworkImages
from rapidseg.runtime.engines.openvino import OpenVinoEngine


def min_fallback_layers(num_layers: int, mean_iou_with: Callable[[int], float], target: float) -> int | None:
    """Finds the smallest number of fallback layers, the most harmful first, that reaches a mean IoU.

    Accuracy is assumed to grow with the number of fallback layers, so bisection finds it in at most 2 +
    log2(num_layers) measurements. The number returned was measured and reaches the target; where mean IoU goes up and
    down it may be larger than necessary. At most half of the layers fall back: with more, INT8 would save next to
    nothing.

    Args:
        num_layers: of the network.
        mean_iou_with: measures mean IoU with that many fallback layers.
        target: the mean IoU to reach, from 0 to 1.

    Returns:
        The number, or None where half of the layers are not enough.
    """
    if mean_iou_with(0) >= target:
        return 0
    too_few, enough = 0, num_layers // 2
    if enough == 0 or mean_iou_with(enough) < target:
        return None
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if mean_iou_with(middle) >= target:
            enough = middle
        else:
            too_few = middle
    return enough


@dataclass(frozen=True)
class Int8Network:
    """An INT8 graph that loses no more accuracy than allowed.

    Attributes:
        graph: the graph.
        num_layers: how many layers can be INT8.
        effects: for each layer that stays in floating point, the largest effect first: how much it alone, in INT8,
            changes the logits (root mean square of the change, divided by that of the logits).
        score: of the graph.
        trials: mean IoU by the number of fallback layers, for every number that was measured.
    """

    graph: onnx.ModelProto
    num_layers: int
    effects: Mapping[str, float]
    score: Score
    trials: Mapping[int, float]


class FallbackSearch:
    """Measures an INT8 graph with some layers in floating point; ranks the layers once that is needed."""

    def __init__(
        self,
        quantized: onnx.ModelProto,
        network: onnx.ModelProto,
        scorer: Scorer,
        images: NetworkImages,
        trial_path: Path,
        progress: Progress,
    ) -> None:
        """Measures nothing yet.

        Args:
            quantized: the graph that `quantize_graph` made of `network`.
            network: the float32 file.
            scorer: measures mean IoU.
            images: to rank the layers on; held in memory.
            trial_path: a file that may be overwritten.
            progress: told after each layer and each image.
        """
        self._quantized = quantized
        self._network = network
        self._scorer = scorer
        self._spec = images.spec
        self._images = list(images)
        self._trial_path = trial_path
        self._progress = progress
        self._layers = list(layer_nodes(network))
        self._effects: dict[str, float] = {}
        self._scores: dict[int, Score] = {}

    def run(self, before: Score, max_drop: float) -> Int8Network:
        """Returns the graph with the fewest fallback layers that loses at most `max_drop` points of `before`.

        Raises:
            ExportError: more is lost even if half of the layers stay in floating point.
        """
        target = before.mean_iou - max_drop / 100
        count = min_fallback_layers(len(self._layers), self._mean_iou, target)
        if count is None:
            raise self._lost_too_much(before, max_drop)
        return Int8Network(
            graph=self._graph(count),
            num_layers=len(self._layers),
            effects={name: self._effects[name] for name in self._most_harmful(count)},
            score=self._scores[count],
            trials={number: score.mean_iou for number, score in self._scores.items()},
        )

    def _mean_iou(self, count: int) -> float:
        onnx.save(self._graph(count), self._trial_path)
        suffix = f", {count} of {len(self._layers)} layers in floating point" if count else ""
        self._scores[count] = self._scorer(self._trial_path, f"mean IoU in INT8{suffix}")
        return self._scores[count].mean_iou

    def _graph(self, count: int) -> onnx.ModelProto:
        return with_fallback_layers(self._quantized, self._network, self._most_harmful(count))

    def _most_harmful(self, count: int) -> list[str]:
        if count and not self._effects:
            self._rank()
        return list(self._effects)[:count]

    def _rank(self) -> None:
        """Measures what each layer does to the logits when it alone is INT8."""
        reference = self._logits(self._network)
        effects = {}
        for done, name in enumerate(self._layers, start=1):
            others = [layer for layer in self._layers if layer != name]
            graph = with_fallback_layers(self._quantized, self._network, others)
            effects[name] = logits_error(self._logits(graph), reference)
            self._progress.update("ranking layers", done, len(self._layers))
        self._effects = dict(sorted(effects.items(), key=lambda effect: effect[1], reverse=True))

    def _logits(self, graph: onnx.ModelProto) -> np.ndarray:
        onnx.save(graph, self._trial_path)
        engine = OpenVinoEngine(self._trial_path, self._spec, precision="float32", device="cpu", cache=False)
        return np.concatenate([engine.run(image).ravel() for image in self._images])

    def _lost_too_much(self, before: Score, max_drop: float) -> ExportError:
        losses = [
            f"{100 * (before.mean_iou - score.mean_iou):.2f} points with {count} of {len(self._layers)} layers in "
            "floating point"
            for count, score in self._scores.items()
        ]
        return ExportError(
            f"INT8 loses more than {max_drop} points of the mean IoU of {before.mean_iou:.4f} on {before.dataset} "
            f"{before.split}: {' and '.join(losses)}. No file was written; allow a larger drop with --max-drop "
            "(max_drop= in Python), calibrate on more or other images, or use the float32 file, which bf16 makes "
            "faster too"
        )
