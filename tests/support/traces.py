"""Traces of networks, kept for later exports of the same network: tracing takes ten seconds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import onnx
import pytest

from rapidseg.exporting import onnx_graph
from rapidseg.models import SegmentationModel
from rapidseg.models.weights_file import weights_checksum

_traces: dict[tuple[str, ...], onnx.ModelProto] = {}


@contextlib.contextmanager
def traced_once() -> Iterator[None]:
    """Traces each network once in a session. Everything else of an export is done anew, verification included.

    A trace depends on the network and its weights alone.
    """
    trace = onnx_graph._trace

    def kept(model: SegmentationModel) -> onnx.ModelProto:
        spec = model.spec
        key = (type(model).__qualname__, str(spec.options), repr(model), weights_checksum(model.state_dict()))
        if key not in _traces:
            _traces[key] = trace(model)
        copy = onnx.ModelProto()
        copy.CopyFrom(_traces[key])
        return copy

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_graph, "_trace", kept)
        yield
