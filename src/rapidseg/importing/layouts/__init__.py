"""The tensor names of published implementations, and the names that the same tensors have here: a file a source."""

from rapidseg.importing.layouts import leftthomas, openmmlab, tramac, wuhuikai
from rapidseg.importing.layouts.layout import Layout

LAYOUTS = (*openmmlab.LAYOUTS, *tramac.LAYOUTS, *leftthomas.LAYOUTS, *wuhuikai.LAYOUTS)

__all__ = ["LAYOUTS", "Layout"]
