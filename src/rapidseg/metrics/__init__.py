"""Scores of class maps against labels."""

from rapidseg.metrics.confusion import ConfusionMatrix
from rapidseg.metrics.scores import Scores, merge_counts

__all__ = ["ConfusionMatrix", "Scores", "merge_counts"]
