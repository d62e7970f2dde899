"""Networks cut into strips of rows, so that what the first layers make stays in the processor's caches.

For a large image the first layers make tens of megabytes, which are written to memory and read again by the next layer.
But for some rows of its output a convolution needs only some rows of its input. So a chain of them is computed strip by
strip, from the rows of its input that a strip needs to the strip's rows of its output. Strips overlap where windows
reach over their borders; what is computed is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import openvino
from openvino import opset13 as opset
from openvino.passes import ConstantFolding, Manager

_CACHED_BYTES = 1 << 24  # what a layer may make without being cut; the next one finds most of it in a shared cache
_STRIP_BYTES = 1 << 22  # what the largest layer of a strip makes: with weights, the caches of two cores hold it
_WEIGHT_BYTES = 1 << 20  # of a chain at most: every strip reads its weights again, and OpenVINO keeps them once a strip
_OVERLAP = 8  # a strip has at least so many times the rows that it shares with the one before

_WINDOWS = {"Convolution": opset.convolution, "GroupConvolution": opset.group_convolution}
_EVERYWHERE = {"Add": opset.add, "Relu": opset.relu, "Multiply": opset.multiply}  # work on each number by itself


@dataclass(frozen=True)
class _Layer:
    """A node of a chain, and which of its inputs is the one before it."""

    node: openvino.Node
    place: int

    @property
    def height(self) -> int:
        """Rows that go in."""
        return int(self.node.input(self.place).get_shape()[2])

    @property
    def weights(self) -> int:
        """How many numbers the layer has of its own."""
        inputs = self.node.inputs()
        return sum(math.prod(port.get_shape()) for place, port in enumerate(inputs) if place != self.place)

    def rows_in(self, first: int, last: int) -> tuple[int, int]:
        """Returns which rows go in for the rows from `first` to `last` of what comes out; some may lie outside."""
        if self.node.get_type_name() not in _WINDOWS:
            return first, last
        attributes = self.node.get_attributes()
        stride, padding = attributes["strides"][0], attributes["pads_begin"][0]
        reach = attributes["dilations"][0] * (self.node.input(1).get_shape()[-2] - 1)
        return first * stride - padding, (last - 1) * stride - padding + reach + 1

    def again(self, rows: openvino.Output, above: int, below: int) -> openvino.Output:
        """Returns the same for some rows, with so many rows of zeros above and below them."""
        # Constants of its own: OpenVINO joins a bias to a convolution only if nothing else reads it.
        inputs = [_copied(port.get_source_output()) for port in self.node.inputs()]
        inputs[self.place] = rows
        kind = self.node.get_type_name()
        if kind not in _WINDOWS:
            return _EVERYWHERE[kind](*inputs).output(0)
        attributes = self.node.get_attributes()
        begin, end = [above, attributes["pads_begin"][1]], [below, attributes["pads_end"][1]]
        return _WINDOWS[kind](*inputs, attributes["strides"], begin, end, attributes["dilations"]).output(0)


def tile_rows(model: openvino.Model, bytes_per_number: int) -> None:
    """Cuts the chains of layers that make more than caches hold.

    Args:
        model: with a static shape and one image; it is changed.
        bytes_per_number: of what layers hand on.
    """
    manager = Manager()
    manager.register_pass(ConstantFolding())  # a bias comes as a constant that is yet to be reshaped
    manager.run_passes(model)
    for chain in list(_chains(model)):
        made = [bytes_per_number * math.prod(layer.node.output(0).get_shape()) for layer in chain[:-1]]
        windows = sum(layer.node.get_type_name() in _WINDOWS for layer in chain)
        weights = bytes_per_number * sum(layer.weights for layer in chain)
        if windows < 2 or max(made) <= _CACHED_BYTES or weights > _WEIGHT_BYTES:
            continue
        count = min(
            -(-max(made) // _STRIP_BYTES),
            chain[0].height // max(1, _OVERLAP * _shared_rows(chain)),
            chain[-1].node.output(0).get_shape()[2],
        )
        if count > 1:
            _cut(chain, count)
    model.validate_nodes_and_infer_types()


def _chains(model: openvino.Model) -> Iterator[list[_Layer]]:
    """Gives the longest chains of layers that work on few rows at a time, each read by the next one alone."""
    seen: set[str] = set()
    for node in model.get_ordered_ops():
        chain: list[_Layer] = []
        place = _feature_input(node)
        while place is not None and node.get_friendly_name() not in seen:
            seen.add(node.get_friendly_name())
            chain.append(_Layer(node, place))
            readers = list(node.output(0).get_target_inputs())
            if len(readers) != 1:
                break
            node = readers[0].get_node()
            place = _feature_input(node)
        if chain:
            yield chain


def _feature_input(node: openvino.Node) -> int | None:
    """Returns which input of a layer holds features; None for a node that is no layer of a chain."""
    kind = node.get_type_name()
    if kind not in (*_WINDOWS, *_EVERYWHERE) or len(node.output(0).get_shape()) != 4:
        return None
    constant = [port.get_source_output().get_node().get_type_name() == "Constant" for port in node.inputs()]
    if constant.count(False) != 1:
        return None
    # What is added to or multiplied with each number must be the same for all rows.
    places = range(len(constant))
    if kind not in _WINDOWS and any(constant[i] and math.prod(node.input(i).get_shape()[-2:]) != 1 for i in places):
        return None
    return constant.index(False)


def _shared_rows(chain: Sequence[_Layer]) -> int:
    """Returns how many rows of the chain's input two rows of its output, one below the other, both need."""
    middle = 1 << 20  # far from the borders of any image
    _, end = _rows_in(chain, middle - 1, middle)
    start, _ = _rows_in(chain, middle, middle + 1)
    return max(0, end - start)


def _rows_in(chain: Sequence[_Layer], first: int, last: int) -> tuple[int, int]:
    for layer in reversed(chain):
        first, last = layer.rows_in(first, last)
    return first, last


def _cut(chain: Sequence[_Layer], count: int) -> None:
    """Puts strips in the place of a chain."""
    start = chain[0].node.input(chain[0].place).get_source_output()
    end = chain[-1].node.output(0)
    readers = end.get_target_inputs()
    height = end.get_shape()[2]
    strips = []
    for number in range(count):
        first, last = height * number // count, height * (number + 1) // count
        borders = []  # of each layer, from the last: rows of zeros above and below
        for layer in reversed(chain):
            wanted_first, wanted_last = layer.rows_in(first, last)
            first, last = max(wanted_first, 0), min(wanted_last, layer.height)
            borders.append((first - wanted_first, wanted_last - last))
        rows = _rows(start, first, last)
        for layer, (above, below) in zip(chain, reversed(borders), strict=True):
            rows = layer.again(rows, above, below)
        strips.append(rows)
    joined = opset.concat(strips, 2).output(0)
    for reader in readers:
        reader.replace_source_output(joined)


def _rows(features: openvino.Output, first: int, last: int) -> openvino.Output:
    """Returns some rows of (N, C, H, W); of an image with the channels last, without moving them first."""
    moved = features.get_node().get_type_name() == "Transpose"
    source = features.get_node().input(0).get_source_output() if moved else features
    bounds = [np.array([bound]) for bound in (first, last, 1, 1 if moved else 2)]
    rows = opset.slice(source, *bounds)
    return opset.transpose(rows, [0, 3, 1, 2]).output(0) if moved else rows.output(0)


def _copied(output: openvino.Output) -> openvino.Output:
    node = output.get_node()
    return opset.constant(node.get_data().copy()).output(0) if node.get_type_name() == "Constant" else output
