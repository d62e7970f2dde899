"""RapidSeg: real-time semantic segmentation, from training to prediction at the speed of the hardware.

    import rapidseg

    segmenter = rapidseg.load()
    result = segmenter("photo.jpg")
    result.class_map   # (H, W) uint8

Nothing leaves the machine unless a function is asked to download or upload something. Importing this package imports
neither NumPy, an inference engine nor PyTorch: names are imported when they are first used.
`PUBLIC_NAMES` lists the public names and the modules that define them. `__init__.pyi` repeats them for type checkers
and editors.
"""

from __future__ import annotations

import sys
from typing import Any

# OpenVINO and NNCF send usage data to an analytics server and keep a client id in ~/intel, from their import on. Where
# this package cannot be imported, they do neither.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

__version__ = "0.1.0"

PUBLIC_NAMES = {
    "load": "rapidseg.workflows.load",
    "Segmenter": "rapidseg.runtime",
    "Result": "rapidseg.runtime",
    "SegmentationModel": "rapidseg.models",
    "ModelSpec": "rapidseg.core.spec",
    "LabelSet": "rapidseg.core.labels",
    "RapidSegError": "rapidseg.core.errors",
    "predict": "rapidseg.workflows.predict",
    "train": "rapidseg.workflows.train",
    "pretrain": "rapidseg.workflows.pretrain",
    "evaluate": "rapidseg.workflows.evaluate",
    "compare_runs": "rapidseg.workflows.report",
    "export": "rapidseg.workflows.export",
    "quantize": "rapidseg.workflows.quantize",
    "import_checkpoint": "rapidseg.workflows.import_checkpoint",
    "benchmark": "rapidseg.workflows.benchmark",
    "tune": "rapidseg.workflows.tune",
    "list_models": "rapidseg.workflows.models",
    "show_model": "rapidseg.workflows.models",
    "open_dataset": "rapidseg.data",
    "check_data": "rapidseg.workflows.data",
    "prepare_data": "rapidseg.workflows.data",
    "draw_scenes": "rapidseg.workflows.data",
    "doctor": "rapidseg.workflows.doctor",
}

_NEED_TORCH = ("SegmentationModel",)

# `from rapidseg import *` does not import PyTorch.
__all__ = ["__version__", *(name for name in PUBLIC_NAMES if name not in _NEED_TORCH)]


def __getattr__(name: str) -> Any:
    """Imports a public name on its first use."""
    if name not in PUBLIC_NAMES:
        raise AttributeError(f"module 'rapidseg' has no attribute {name!r}")
    from importlib import import_module

    from rapidseg.core.import_errors import explained_imports

    with explained_imports("export" if name in _NEED_TORCH else None):
        module = import_module(PUBLIC_NAMES[name])
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    from importlib.util import find_spec

    # Tools such as `help` get every name that is listed, which must not fail.
    hidden = () if find_spec("torch") else _NEED_TORCH
    return sorted({*PUBLIC_NAMES, *(name for name in globals() if name.startswith("__"))}.difference(hidden))
