"""Pictures on the screen: in a notebook, or in the system's image viewer."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from PIL import Image, ImageShow

from rapidseg.core.errors import RapidSegError


def show(picture: np.ndarray) -> None:
    """Shows a picture.

    Args:
        picture: (H, W, 3) uint8 RGB.

    Raises:
        RapidSegError: no image viewer can be opened.
    """
    image = Image.fromarray(picture)
    if _in_notebook():
        ipython_display: Any = sys.modules["IPython"].display
        ipython_display.display(image)
        return
    if not _has_screen() or not ImageShow.show(image, "RapidSeg"):
        raise RapidSegError("no image viewer can be opened here; save the picture instead: result.save('result.png')")


def _in_notebook() -> bool:
    ipython: Any = sys.modules.get("IPython")  # a notebook has imported it
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def _has_screen() -> bool:
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
