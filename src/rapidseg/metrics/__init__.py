"""Scores of class maps against labels."""

from rapidseg.metrics.confusion import ConfusionMatrix
from rapidseg.metrics.scores import Scores

__all__ = ["ConfusionMatrix", "Scores"]
