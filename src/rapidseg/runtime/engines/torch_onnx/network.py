"""The network of a model file in PyTorch, specialized to an input shape."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rapidseg.runtime.engines.engine import NORMALIZED, OUTPUT
from rapidseg.runtime.engines.torch_onnx.convolutions import Algorithm, Convolution, clamp_
from rapidseg.runtime.engines.torch_onnx.graph import Node, read_graph
from rapidseg.runtime.engines.torch_onnx.operators import OPERATORS

Select = Callable[[Convolution, Tensor], Algorithm]
"""Takes a convolution and its input, and returns the algorithm that computes it."""


@dataclass(frozen=True, eq=False)
class Step:
    """An operator on the device.

    Attributes:
        operator: its name in ONNX.
        function: computes it.
        arguments: names of the tensors that it reads, or constants; the weights of a convolution are in its function.
        output: name of the tensor that it computes.
    """

    operator: str
    function: Callable[..., Tensor]
    arguments: tuple[str | Tensor | float, ...]
    output: str

    def __call__(self, values: Mapping[str, Tensor]) -> Tensor:
        return self.function(*(values[entry] if isinstance(entry, str) else entry for entry in self.arguments))


class NetworkPlan:
    """The steps of a network on the device for one input shape; everything that depends only on sizes is folded.

    Attributes:
        steps: in order.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        last_read = {
            name: index for index, step in enumerate(steps) for name in step.arguments if isinstance(name, str)
        }
        self._last_reads = tuple(
            [name for name, last in last_read.items() if last == index and name != OUTPUT]
            for index in range(len(steps))
        )

    def __call__(self, normalized: Tensor) -> Tensor:
        """Computes the logits, (N, K, h, w), from `normalized`, (N, 3, H, W), of the plan's shape."""
        values = {NORMALIZED: normalized}
        for step, last_reads in zip(self.steps, self._last_reads, strict=True):
            values[step.output] = step(values)
            for name in last_reads:
                del values[name]
        return values[OUTPUT]

    def __len__(self) -> int:
        return len(self.steps)


class TorchNetwork(nn.Module):
    """The network of a model file, from `normalized` to `logits`, with channels-last features.

    Attributes:
        device, dtype: on which and in which it computes.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        emulated_dtype: torch.dtype | None = None,
    ) -> None:
        """Reads a file.

        Args:
            path: a model file of `rapidseg export`.
            device, dtype: on which and in which to compute.
            emulated_dtype: to which weights and the result of every operator are rounded, while operators compute in
                `dtype`. With fp16 emulated in float32 this is what matrix units of GPUs do, which add in float32.

        Raises:
            EngineError: it is an INT8 model.
            ModelFileError: the file cannot be read, or has an unknown operator.
        """
        super().__init__()
        self.device, self.dtype = torch.device(device), dtype
        self._emulated_dtype = emulated_dtype
        graph = read_graph(path, (*OPERATORS, "Conv", "Shape"))
        self._nodes = graph.nodes
        self._constants = {name: torch.from_numpy(value.copy()) for name, value in graph.constants.items()}
        self._convolutions: dict[str, Convolution] = {}
        for node in self._nodes:
            if node.operator == "Conv":
                weight, bias = (self._constants.get(name) for name in (*node.inputs[1:], "")[:2])
                assert weight is not None  # the exporter never computes weights
                self._convolutions[node.output] = Convolution.from_node(
                    node, self._to_device(weight), None if bias is None else self._to_device(bias)
                )
        self._last_read = {name: index for index, node in enumerate(self._nodes) for name in node.inputs}

    def forward(self, normalized: Tensor) -> Tensor:
        """Computes the logits, (N, K, h, w), of normalized images, (N, 3, H, W)."""
        return self.plan(normalized)[1]

    def plan(self, normalized: Tensor, select: Select | None = None) -> tuple[NetworkPlan, Tensor]:
        """Runs the network once, step by step, and records the steps.

        Args:
            normalized: (N, 3, H, W) of the shape to plan for, as the network sees it.
            select: selects the algorithm of each convolution; None: the plain one.

        Returns:
            The plan, and the logits.
        """
        normalized = normalized.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        features: dict[str, Tensor] = {NORMALIZED: normalized}
        sizes: dict[str, Tensor] = dict(self._constants)  # known once the shape is; on the CPU
        steps: list[Step] = []
        if self._emulated_dtype is not None:
            rounded = functools.partial(_finished, _same, None, self.dtype, self._emulated_dtype)
            steps.append(Step("Cast", rounded, (NORMALIZED,), NORMALIZED))
            features[NORMALIZED] = steps[-1](features)
        for index, node in enumerate(self._nodes):
            if node.operator == "Shape":
                shape = (features | sizes)[node.inputs[0]].shape
                chosen = shape[node.attributes.get("start", 0) : node.attributes.get("end")]
                sizes[node.output] = torch.tensor(list(chosen), dtype=torch.int64)
            elif any(name in features for name in node.inputs):
                steps.append(self._step(node, features, sizes, select))
                features[node.output] = steps[-1](features)
            else:
                function, operands = self._bind(node, sizes)
                sizes[node.output] = function(*(sizes[name] for name in operands))
            for name in node.inputs:
                if self._last_read[name] == index:
                    features.pop(name, None)
        return NetworkPlan(steps), features[OUTPUT]

    def _step(
        self,
        node: Node,
        features: Mapping[str, Tensor],
        sizes: Mapping[str, Tensor],
        select: Select | None,
    ) -> Step:
        if node.operator == "Conv":
            convolution, x = self._convolutions[node.output], features[node.inputs[0]]
            function: Callable[..., Tensor] = convolution.plain if select is None else select(convolution, x)
            if self._emulated_dtype is not None:
                function = functools.partial(_finished, function, None, self.dtype, self._emulated_dtype)
            return Step(node.operator, function, (node.inputs[0],), node.output)
        function, operands = self._bind(node, sizes)
        wide = any(name in features and features[name].ndim != 4 for name in operands)
        arguments = [name if name in features else self._constant(sizes[name], wide) for name in operands]
        function = functools.partial(_finished, function, node.bounds, self.dtype, self._emulated_dtype)
        return Step(node.operator, function, tuple(arguments), node.output)

    def _bind(self, node: Node, sizes: Mapping[str, Tensor]) -> tuple[Callable[..., Tensor], tuple[str, ...]]:
        """Returns an operator as a function of its operands, and the names of the operands."""
        operator = OPERATORS[node.operator]
        count = len(node.inputs) if operator.operands is None else operator.operands
        parameters = [sizes[name] if name else None for name in node.inputs[count:]]
        return operator.bind(node.attributes, parameters), node.inputs[:count]

    def _constant(self, value: Tensor, wide: bool) -> Tensor | float:
        """Returns a constant as an operand; a scalar becomes a float, so that results keep the features' dtype."""
        if value.ndim == 0:
            return float(value)
        return value.to(self.device, torch.float32) if wide else self._to_device(value)

    def _to_device(self, value: Tensor) -> Tensor:
        if self._emulated_dtype is not None:
            value = value.to(self._emulated_dtype)
        return value.to(self.device, self.dtype)


def _same(x: Tensor) -> Tensor:
    return x


def _finished(
    function: Callable[..., Tensor],
    bounds: tuple[float, float] | None,
    dtype: torch.dtype,
    emulated_dtype: torch.dtype | None,
    *arguments: Tensor,
) -> Tensor:
    """Computes an operator and converts the result to the dtype in which the network keeps it.

    Only feature maps, (N, C, h, w), are kept in the network's dtype. Other results, such as the sums over all pixels in
    the head of EncNet, exceed the range of fp16 and stay in float32.
    """
    result = clamp_(function(*arguments), bounds)
    if result.ndim != 4:
        return result.float()
    if emulated_dtype is not None:
        result = result.to(emulated_dtype)
    return result.to(dtype)
