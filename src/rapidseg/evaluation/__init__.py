"""Scores of anything that predicts, on anything that is labelled. Nothing here imports PyTorch."""

from rapidseg.evaluation.evaluate import Evaluation, ImageScore, LabelledImage, Predictor, evaluate
from rapidseg.evaluation.mapping import class_mapping_between
from rapidseg.metrics import ConfusionMatrix, Scores

__all__ = [
    "ConfusionMatrix",
    "Evaluation",
    "ImageScore",
    "LabelledImage",
    "Predictor",
    "Scores",
    "class_mapping_between",
    "evaluate",
]
