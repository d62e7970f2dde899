"""Prediction without PyTorch: `load` a model file, call it on images, or stream over many."""

from rapidseg.runtime.result import Result
from rapidseg.runtime.segmenter import Segmenter, load

__all__ = ["Result", "Segmenter", "load"]
