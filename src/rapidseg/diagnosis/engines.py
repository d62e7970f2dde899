"""The engines: which are installed, and on which devices they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rapidseg.core.extras import is_installed
from rapidseg.core.import_errors import describe_error
from rapidseg.core.quiet import quiet_libraries
from rapidseg.diagnosis.installation import find_version
from rapidseg.system.gpu import torch_build


@dataclass(frozen=True)
class InstalledEngine:
    """An engine.

    Attributes:
        name: as for `rapidseg.load`.
        version: None where it is not installed.
        devices: product names of its devices by their names; of ONNX Runtime, its providers.
        capabilities: the precisions that each device of OpenVINO computes natively.
        problem: why it does not work; None where it does, or where it is not installed.
    """

    name: str
    version: str | None
    devices: dict[str, str] = field(default_factory=dict)
    capabilities: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str | None = None


def find_engines() -> tuple[InstalledEngine, ...]:
    """Describes OpenVINO, ONNX Runtime and PyTorch."""
    return tuple(_describe(name, describe) for name, describe in _ENGINES.items())


def _describe(name: str, describe: Callable[[], InstalledEngine]) -> InstalledEngine:
    version = find_version(name)
    if version is None and not is_installed(name):
        return InstalledEngine(name, None)
    try:
        with quiet_libraries(ignored_warnings=[], stdout=True, stderr=True):  # some print why they fail
            return describe()
    except Exception as error:  # broken binaries raise errors of many kinds
        return InstalledEngine(name, version or "unknown version", problem=describe_error(error))


def _openvino() -> InstalledEngine:
    import openvino

    core = openvino.Core()
    devices = {name: str(core.get_property(name, "FULL_DEVICE_NAME")) for name in core.available_devices}
    capabilities = {name: tuple(sorted(core.get_property(name, "OPTIMIZATION_CAPABILITIES"))) for name in devices}
    return InstalledEngine("openvino", openvino.__version__.split("-")[0], devices, capabilities)


def _onnxruntime() -> InstalledEngine:
    import onnxruntime

    devices = {name: name for name in onnxruntime.get_available_providers()}
    return InstalledEngine("onnxruntime", find_version("onnxruntime") or onnxruntime.__version__, devices)


def _torch() -> InstalledEngine:
    build = torch_build()
    if build is None:
        raise ImportError("No module named 'torch'", name="torch")
    devices = {"cpu": "cpu", **{f"cuda:{index}": name for index, name in enumerate(build.devices)}}
    return InstalledEngine("torch", build.version, devices)


_ENGINES = {"openvino": _openvino, "onnxruntime": _onnxruntime, "torch": _torch}
