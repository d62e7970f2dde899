"""The network of a model file in PyTorch, specialized to an input shape."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rapidseg.runtime.engines.base import NORMALIZED, OUTPUT
from rapidseg.runtime.engines.torch_onnx.convolutions import Convolution, Way, clamp_
from rapidseg.runtime.engines.torch_onnx.graph import Node, read_graph
from rapidseg.runtime.engines.torch_onnx.operators import OPERATORS

Choose = Callable[[Convolution, Tensor], Way]
"""Takes a convolution and its input, and returns the way in which to compute it."""


@dataclass(frozen=True, eq=False)
class Step:
    """One operator on the device.

    Attributes:
        operator: its name in ONNX.
        function: computes it.
        arguments: names of what it reads, or constants in their place; a convolution has its weights in its function.
        output: name of what it makes.
    """

    operator: str
    function: Callable[..., Tensor]
    arguments: tuple[str | Tensor | float, ...]
    output: str

    def __call__(self, values: Mapping[str, Tensor]) -> Tensor:
        return self.function(*(values[entry] if isinstance(entry, str) else entry for entry in self.arguments))


class Plan:
    """A network for one input shape: only what is computed on the device, with all that depends on sizes folded.

    Attributes:
        steps: in order.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        last_read = {
            name: place for place, step in enumerate(steps) for name in step.arguments if isinstance(name, str)
        }
        self._done_with = tuple(
            [name for name, last in last_read.items() if last == place and name != OUTPUT]
            for place in range(len(steps))
        )

    def __call__(self, normalized: Tensor) -> Tensor:
        """Returns the logits, (N, K, h, w), of `normalized`, (N, 3, H, W), of the plan's shape."""
        values = {NORMALIZED: normalized}
        for step, done_with in zip(self.steps, self._done_with, strict=True):
            values[step.output] = step(values)
            for name in done_with:
                del values[name]
        return values[OUTPUT]

    def __len__(self) -> int:
        return len(self.steps)


class TorchNetwork(nn.Module):
    """The network of a model file, from `normalized` to `logits`, with channels-last features.

    Attributes:
        device, dtype: where and in what it computes.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        rounding: torch.dtype | None = None,
    ) -> None:
        """Reads a file.

        Args:
            path: what `rapidseg export` wrote.
            device, dtype: where to compute, and in what.
            rounding: to which numbers weights and the result of every operator are rounded while the computing itself
                is done in `dtype`. fp16 in float32 is so what matrix units of GPUs do, which add in float32.

        Raises:
            EngineError: it is an INT8 file.
            ModelFileError: the file cannot be read, or has an operator that is unknown.
        """
        super().__init__()
        self.device, self.dtype = torch.device(device), dtype
        self._rounding = rounding
        graph = read_graph(path, (*OPERATORS, "Conv", "Shape"))
        self._nodes = graph.nodes
        self._constants = {name: torch.from_numpy(value.copy()) for name, value in graph.constants.items()}
        self._convolutions: dict[str, Convolution] = {}
        for node in self._nodes:
            if node.operator == "Conv":
                weight, bias = (self._constants.get(name) for name in (*node.inputs[1:], "")[:2])
                assert weight is not None  # the exporter never computes weights
                self._convolutions[node.output] = Convolution.of(
                    node, self._place(weight), None if bias is None else self._place(bias)
                )
        self._last_read = {name: place for place, node in enumerate(self._nodes) for name in node.inputs}

    def forward(self, normalized: Tensor) -> Tensor:
        """Returns the logits, (N, K, h, w), of normalized images, (N, 3, H, W)."""
        return self.plan(normalized)[1]

    def plan(self, normalized: Tensor, choose: Choose | None = None) -> tuple[Plan, Tensor]:
        """Runs the network once, step by step, and notes the steps.

        Args:
            normalized: (N, 3, H, W) of the shape to plan for, as the network sees it.
            choose: how to compute convolutions; None: in the plain way.

        Returns:
            The plan, and the logits.
        """
        normalized = normalized.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        features: dict[str, Tensor] = {NORMALIZED: normalized}
        sizes: dict[str, Tensor] = dict(self._constants)  # what is known once the shape is; on the CPU
        steps: list[Step] = []
        if self._rounding is not None:
            rounded = functools.partial(_finished, _same, None, self.dtype, self._rounding)
            steps.append(Step("Cast", rounded, (NORMALIZED,), NORMALIZED))
            features[NORMALIZED] = steps[-1](features)
        for place, node in enumerate(self._nodes):
            if node.operator == "Shape":
                shape = (features | sizes)[node.inputs[0]].shape
                chosen = shape[node.attributes.get("start", 0) : node.attributes.get("end")]
                sizes[node.output] = torch.tensor(list(chosen), dtype=torch.int64)
            elif any(name in features for name in node.inputs):
                steps.append(self._step(node, features, sizes, choose))
                features[node.output] = steps[-1](features)
            else:
                function, operands = self._bind(node, sizes)
                sizes[node.output] = function(*(sizes[name] for name in operands))
            for name in node.inputs:
                if self._last_read[name] == place:
                    features.pop(name, None)
        return Plan(steps), features[OUTPUT]

    def _step(
        self,
        node: Node,
        features: Mapping[str, Tensor],
        sizes: Mapping[str, Tensor],
        choose: Choose | None,
    ) -> Step:
        if node.operator == "Conv":
            convolution, x = self._convolutions[node.output], features[node.inputs[0]]
            function: Callable[..., Tensor] = convolution.plain if choose is None else choose(convolution, x)
            if self._rounding is not None:
                function = functools.partial(_finished, function, None, self.dtype, self._rounding)
            return Step(node.operator, function, (node.inputs[0],), node.output)
        function, operands = self._bind(node, sizes)
        wide = any(name in features and features[name].ndim != 4 for name in operands)
        arguments = [name if name in features else self._constant(sizes[name], wide) for name in operands]
        function = functools.partial(_finished, function, node.bounds, self.dtype, self._rounding)
        return Step(node.operator, function, tuple(arguments), node.output)

    def _bind(self, node: Node, sizes: Mapping[str, Tensor]) -> tuple[Callable[..., Tensor], tuple[str, ...]]:
        """Returns an operator as a function of its operands, and their names."""
        operator = OPERATORS[node.operator]
        count = len(node.inputs) if operator.operands is None else operator.operands
        parameters = [sizes[name] if name else None for name in node.inputs[count:]]
        return operator.bind(node.attributes, parameters), node.inputs[:count]

    def _constant(self, value: Tensor, wide: bool) -> Tensor | float:
        """Returns a constant as an operand; a single number stays one, so that it takes any type of the features."""
        if value.ndim == 0:
            return float(value)
        return value.to(self.device, torch.float32) if wide else self._place(value)

    def _place(self, value: Tensor) -> Tensor:
        if self._rounding is not None:
            value = value.to(self._rounding)
        return value.to(self.device, self.dtype)


def _same(x: Tensor) -> Tensor:
    return x


def _finished(
    function: Callable[..., Tensor],
    bounds: tuple[float, float] | None,
    dtype: torch.dtype,
    rounding: torch.dtype | None,
    *arguments: Tensor,
) -> Tensor:
    """Computes an operator and brings what comes out to the type in which the network keeps it.

    Only maps of features, (N, C, h, w), are kept in the network's own. What is none, such as the sums over all pixels
    in the head of EncNet, goes beyond fp16 and stays in float32.
    """
    result = clamp_(function(*arguments), bounds)
    if result.ndim != 4:
        return result.float()
    if rounding is not None:
        result = result.to(rounding)
    return result.to(dtype)
