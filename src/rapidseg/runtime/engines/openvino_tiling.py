"""Tiles a network by rows, so that the results of its first layers stay in the processor's caches.

For a large image the first layers produce tens of megabytes, which are written to memory and read again by the next
layer. But a convolution needs only a few rows of its input for each row of its output. So a chain of layers is computed
tile by tile: from the input rows that a tile needs to the tile's rows of the output. Tiles overlap where kernels reach
across their borders. The values are the same as without tiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import openvino
from openvino import opset13 as opset
from openvino.passes import ConstantFolding, Manager

_CONVOLUTIONS = {"Convolution": opset.convolution, "GroupConvolution": opset.group_convolution}
_ELEMENTWISE = {"Add": opset.add, "Relu": opset.relu, "Multiply": opset.multiply}


@dataclass(frozen=True)
class TilingLimits:
    """Which chains of layers are tiled, and into how many tiles.

    Attributes:
        max_whole_bytes: a layer with a result up to this size is not tiled; the next layer finds most of it in a shared
            cache.
        tile_bytes: of the largest result within a tile; with the weights it fits the caches of two cores.
        max_weight_bytes: of a tiled chain; each tile reads all weights again, and OpenVINO stores them once per tile.
        min_rows_per_shared_row: a tile has at least this many rows per row that it shares with its neighbor.
    """

    max_whole_bytes: int = 1 << 24
    tile_bytes: int = 1 << 22
    max_weight_bytes: int = 1 << 20
    min_rows_per_shared_row: int = 8


@dataclass(frozen=True)
class _Layer:
    """A node of a chain, and the index of the input that is the previous layer."""

    node: openvino.Node
    feature_input: int

    @property
    def height(self) -> int:
        """Rows of the input."""
        return int(self.node.input(self.feature_input).get_shape()[2])

    @property
    def num_weights(self) -> int:
        """How many constants the layer has."""
        inputs = self.node.inputs()
        return sum(math.prod(port.get_shape()) for index, port in enumerate(inputs) if index != self.feature_input)

    @property
    def is_convolution(self) -> bool:
        return self.node.get_type_name() in _CONVOLUTIONS

    def input_rows(self, first: int, last: int) -> tuple[int, int]:
        """Returns which input rows the output rows from `first` to `last` need; some may lie outside the input."""
        if not self.is_convolution:
            return first, last
        attributes = self.node.get_attributes()
        stride, padding = attributes["strides"][0], attributes["pads_begin"][0]
        reach = attributes["dilations"][0] * (self.node.input(1).get_shape()[-2] - 1)
        return first * stride - padding, (last - 1) * stride - padding + reach + 1

    def copy(self, rows: openvino.Output, above: int, below: int) -> openvino.Output:
        """Adds a copy of the layer that reads only `rows`, padded with rows of zeros above and below."""
        # With constants of its own: OpenVINO fuses a bias with a convolution only if nothing else reads the bias.
        inputs = [_copy_constant(port.get_source_output()) for port in self.node.inputs()]
        inputs[self.feature_input] = rows
        kind = self.node.get_type_name()
        if not self.is_convolution:
            return _ELEMENTWISE[kind](*inputs).output(0)
        attributes = self.node.get_attributes()
        begin, end = [above, attributes["pads_begin"][1]], [below, attributes["pads_end"][1]]
        return _CONVOLUTIONS[kind](*inputs, attributes["strides"], begin, end, attributes["dilations"]).output(0)


def tile_rows(model: openvino.Model, bytes_per_value: int, limits: TilingLimits | None = None) -> list[int]:
    """Tiles the chains of layers whose results do not fit the caches.

    Args:
        model: with a static shape and one image; it is changed in place.
        bytes_per_value: of the layers' results.
        limits: which chains to tile, and how finely; None: the measured ones.

    Returns:
        The number of tiles of each tiled chain.
    """
    limits = limits or TilingLimits()
    manager = Manager()
    manager.register_pass(ConstantFolding())  # the constant of a bias is still to be reshaped
    manager.run_passes(model)
    counts = []
    for chain in list(_chains(model)):
        count = _tile_count(chain, bytes_per_value, limits)
        if count > 1:
            _tile(chain, count)
            counts.append(count)
    model.validate_nodes_and_infer_types()
    return counts


def _chains(model: openvino.Model) -> Iterator[list[_Layer]]:
    """Yields the longest chains of layers that work on few rows at a time, each read only by the next one."""
    seen: set[str] = set()
    for node in model.get_ordered_ops():
        chain: list[_Layer] = []
        feature_input = _feature_input(node)
        while feature_input is not None and node.get_friendly_name() not in seen:
            seen.add(node.get_friendly_name())
            chain.append(_Layer(node, feature_input))
            readers = list(node.output(0).get_target_inputs())
            if len(readers) != 1:
                break
            node = readers[0].get_node()
            feature_input = _feature_input(node)
        if chain:
            yield chain


def _feature_input(node: openvino.Node) -> int | None:
    """Returns the index of the input that holds features; None if the node cannot be part of a chain."""
    kind = node.get_type_name()
    if kind not in (*_CONVOLUTIONS, *_ELEMENTWISE) or len(node.output(0).get_shape()) != 4:
        return None
    inputs = node.inputs()
    is_constant = [port.get_source_output().get_node().get_type_name() == "Constant" for port in inputs]
    if is_constant.count(False) != 1:
        return None
    # A constant operand of an elementwise layer must be the same for all rows.
    constants = [port for port, constant in zip(inputs, is_constant, strict=True) if constant]
    if kind in _ELEMENTWISE and any(math.prod(port.get_shape()[-2:]) != 1 for port in constants):
        return None
    return is_constant.index(False)


def _tile_count(chain: Sequence[_Layer], bytes_per_value: int, limits: TilingLimits) -> int:
    """Returns into how many tiles to split a chain; 1 or less: not at all."""
    largest = max((bytes_per_value * math.prod(layer.node.output(0).get_shape()) for layer in chain[:-1]), default=0)
    weight_bytes = bytes_per_value * sum(layer.num_weights for layer in chain)
    num_convolutions = sum(layer.is_convolution for layer in chain)
    if num_convolutions < 2 or largest <= limits.max_whole_bytes or weight_bytes > limits.max_weight_bytes:
        return 1
    return min(
        -(-largest // limits.tile_bytes),
        chain[0].height // max(1, limits.min_rows_per_shared_row * _shared_rows(chain)),
        int(chain[-1].node.output(0).get_shape()[2]),
    )


def _shared_rows(chain: Sequence[_Layer]) -> int:
    """Returns how many rows of the chain's input are needed by both of two adjacent rows of its output."""
    middle = 1 << 20  # far from the borders of any image
    _, end = _input_rows(chain, middle - 1, middle)
    start, _ = _input_rows(chain, middle, middle + 1)
    return max(0, end - start)


def _input_rows(chain: Sequence[_Layer], first: int, last: int) -> tuple[int, int]:
    for layer in reversed(chain):
        first, last = layer.input_rows(first, last)
    return first, last


def _tile(chain: Sequence[_Layer], count: int) -> None:
    """Replaces a chain by `count` tiles."""
    start = chain[0].node.input(chain[0].feature_input).get_source_output()
    end = chain[-1].node.output(0)
    readers = end.get_target_inputs()
    height = end.get_shape()[2]
    tiles = []
    for index in range(count):
        first, last = height * index // count, height * (index + 1) // count
        padding = []  # rows of zeros above and below, of each layer from the last to the first
        for layer in reversed(chain):
            needed_first, needed_last = layer.input_rows(first, last)
            first, last = max(needed_first, 0), min(needed_last, layer.height)
            padding.append((first - needed_first, needed_last - last))
        rows = _slice_rows(start, first, last)
        for layer, (above, below) in zip(chain, reversed(padding), strict=True):
            rows = layer.copy(rows, above, below)
        tiles.append(rows)
    joined = opset.concat(tiles, 2).output(0)
    for reader in readers:
        reader.replace_source_output(joined)


def _slice_rows(features: openvino.Output, first: int, last: int) -> openvino.Output:
    """Returns rows of (N, C, H, W) features; of a transposed channels-last image, sliced before the transpose."""
    is_transposed = features.get_node().get_type_name() == "Transpose"
    source = features.get_node().input(0).get_source_output() if is_transposed else features
    bounds = [np.array([bound]) for bound in (first, last, 1, 1 if is_transposed else 2)]
    rows = opset.slice(source, *bounds)
    return opset.transpose(rows, [0, 3, 1, 2]).output(0) if is_transposed else rows.output(0)


def _copy_constant(output: openvino.Output) -> openvino.Output:
    node = output.get_node()
    return opset.constant(node.get_data().copy()).output(0) if node.get_type_name() == "Constant" else output
