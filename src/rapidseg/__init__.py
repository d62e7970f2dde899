"""RapidSeg: real-time semantic segmentation, from training to prediction at the speed of the hardware.

    import rapidseg

    segmenter = rapidseg.load()
    result = segmenter(image)   # image: (H, W, 3) uint8 RGB
    result.class_map            # (H, W) uint8

Importing this package loads neither an inference engine nor PyTorch; `load` does what is needed, when it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rapidseg.runtime import Result, Segmenter, load

__version__ = "0.1.0"
__all__ = ["Result", "Segmenter", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in ("Result", "Segmenter", "load"):
        from rapidseg import runtime

        return getattr(runtime, name)
    raise AttributeError(f"module 'rapidseg' has no attribute {name!r}")
