"""Which layers of an INT8 file have to stay in floating point, so that it loses no more accuracy than is allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx

from rapidseg.core.spec import ModelSpec, Score
from rapidseg.exporting.int8.checks import logits_error
from rapidseg.exporting.int8.int8_graph import keep_layers, layer_nodes
from rapidseg.exporting.int8.scoring import Progress, Scorer
from rapidseg.runtime.engines.openvino import OpenVinoEngine


def min_fallback_layers(num_layers: int, mean_iou_with: Callable[[int], float], needed: float) -> int | None:
    """Finds how many layers, the worst first, have to be kept.

    With more layers kept, accuracy is taken to grow, so that halving finds the number: at most 2 + log2(num_layers)
    measurements. What is returned was measured and is enough; ups and downs of mean IoU can only make it larger than it
    has to be. More than half of the layers are never kept: such a file would gain next to nothing.

    Args:
        num_layers: how many there are.
        mean_iou_with: measures mean IoU with that many of the worst layers kept.
        needed: the mean IoU to reach.

    Returns:
        The number, or None where half of the layers are not enough.
    """
    if mean_iou_with(0) >= needed:
        return 0
    too_few, enough = 0, num_layers // 2
    if enough == 0 or mean_iou_with(enough) < needed:
        return None
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if mean_iou_with(middle) >= needed:
            enough = middle
        else:
            too_few = middle
    return enough


class LayersToKeep:
    """Measures an INT8 graph with some of its layers kept, and ranks the layers when that is needed.

    Attributes:
        layers: names of all layers that can be INT8, in the order of the network.
        effects: what each layer alone does to the logits when it is in INT8: the root mean square of the change, in
            parts of that of the logits; the largest first. Empty as long as nobody asked for kept layers.
        tried: scores by the number of kept layers.
    """

    def __init__(
        self,
        quantized: onnx.ModelProto,
        network: onnx.ModelProto,
        spec: ModelSpec,
        scorer: Scorer,
        images: Sequence[np.ndarray],
        trial: Path,
        progress: Progress,
    ) -> None:
        """Measures nothing yet.

        Args:
            quantized: what `quantize_graph` made of `network`.
            network: the file in float32.
            spec: what it says about itself.
            scorer: measures mean IoU.
            images: (1, H, W, 3) uint8 RGB each, to rank the layers on.
            trial: a file that may be overwritten.
            progress: called as the work goes on.
        """
        self.layers = list(layer_nodes(network))
        self.effects: dict[str, float] = {}
        self.tried: dict[int, Score] = {}
        self._quantized = quantized
        self._network = network
        self._spec = spec
        self._scorer = scorer
        self._images = images
        self._trial = trial
        self._progress = progress

    def worst(self, count: int) -> list[str]:
        """Returns the layers with the largest effects."""
        if count and not self.effects:
            self._rank()
        return list(self.effects)[:count]

    def graph(self, count: int) -> onnx.ModelProto:
        """Returns the INT8 graph in which the `count` worst layers are kept."""
        return keep_layers(self._quantized, self._network, self.worst(count))

    def mean_iou(self, count: int) -> float:
        """Measures mean IoU with the `count` worst layers kept."""
        onnx.save(self.graph(count), self._trial)
        kept = f", {count} of {len(self.layers)} layers kept" if count else ""
        self.tried[count] = self._scorer(self._trial, f"mean IoU in INT8{kept}")
        return self.tried[count].mean_iou

    def _rank(self) -> None:
        reference = self._logits(self._network)
        effects = {}
        for done, name in enumerate(self.layers, start=1):
            others = [other for other in self.layers if other != name]
            graph = keep_layers(self._quantized, self._network, others)
            effects[name] = logits_error(self._logits(graph), reference)
            self._progress("ranking layers", done, len(self.layers))
        self.effects = dict(sorted(effects.items(), key=lambda effect: effect[1], reverse=True))

    def _logits(self, graph: onnx.ModelProto) -> np.ndarray:
        onnx.save(graph, self._trial)
        engine = OpenVinoEngine(self._trial, self._spec, precision="float32", device="cpu", cache=False)
        return np.concatenate([engine.run(image).ravel() for image in self._images])
