"""Tensor names of published implementations and the names of the same tensors here: a file per source."""

from rapidseg.importing.layouts import leftthomas, openmmlab, tramac, wuhuikai
from rapidseg.importing.layouts.checkpoint_layout import Layout

LAYOUTS = (*openmmlab.LAYOUTS, *tramac.LAYOUTS, *leftthomas.LAYOUTS, *wuhuikai.LAYOUTS)

__all__ = ["LAYOUTS", "Layout"]
