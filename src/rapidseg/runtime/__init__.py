"""Prediction without PyTorch: load a model file, segment images, batches and streams."""

from rapidseg.runtime.result import Result
from rapidseg.runtime.segmenter import Segmenter, load

__all__ = ["Result", "Segmenter", "load"]
