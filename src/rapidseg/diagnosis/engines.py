"""The engines: which are there, and on which devices."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from rapidseg.diagnosis.installation import find_version
from rapidseg.system.gpus import found_by_torch


@dataclass(frozen=True)
class FoundEngine:
    """An engine.

    Attributes:
        name: as for `rapidseg.load`.
        version: None where it is not installed.
        devices: names of its devices, or of ONNX Runtime's providers, and what they call themselves.
        capabilities: what each device of OpenVINO computes natively.
    """

    name: str
    version: str | None
    devices: dict[str, str]
    capabilities: dict[str, tuple[str, ...]]


def find_engines() -> tuple[FoundEngine, ...]:
    """Looks for OpenVINO, ONNX Runtime and PyTorch."""
    return _openvino(), _onnxruntime(), _torch()


def _openvino() -> FoundEngine:
    import openvino

    core = openvino.Core()
    devices = {name: str(core.get_property(name, "FULL_DEVICE_NAME")) for name in core.available_devices}
    capabilities = {name: tuple(sorted(core.get_property(name, "OPTIMIZATION_CAPABILITIES"))) for name in devices}
    return FoundEngine("openvino", openvino.__version__.split("-")[0], devices, capabilities)


def _onnxruntime() -> FoundEngine:
    if importlib.util.find_spec("onnxruntime") is None:
        return FoundEngine("onnxruntime", None, {}, {})
    import onnxruntime

    devices = {name: name for name in onnxruntime.get_available_providers()}
    return FoundEngine("onnxruntime", find_version("onnxruntime") or onnxruntime.__version__, devices, {})


def _torch() -> FoundEngine:
    found = found_by_torch()
    if found is None:
        return FoundEngine("torch", None, {}, {})
    devices = {"cpu": "cpu", **{f"cuda:{index}": name for index, name in enumerate(found["devices"])}}
    return FoundEngine("torch", found["version"], devices, {})
