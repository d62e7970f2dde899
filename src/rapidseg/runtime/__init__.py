"""Prediction without PyTorch: load a model file, segment images, batches and streams."""

from rapidseg.runtime.loading import load
from rapidseg.runtime.result import Result
from rapidseg.runtime.segmenter import Segmenter

__all__ = ["Result", "Segmenter", "load"]
