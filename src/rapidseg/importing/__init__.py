"""Weights that others published, as models of this project."""

from rapidseg.importing.checkpoint import load_checkpoint

__all__ = ["load_checkpoint"]
