"""Scores of anything that predicts, on anything that is labelled. Nothing here imports PyTorch."""

from rapidseg.evaluation.evaluate import Evaluation, ImageScore, LabelledImage, Observer, Predictor, evaluate
from rapidseg.evaluation.mapping import class_mapping_between
from rapidseg.evaluation.protocols import (
    SCALES,
    EvaluationProtocol,
    InputSize,
    MultiScale,
    SlidingWindow,
    WholeImage,
    predict_multi_scale,
)
from rapidseg.evaluation.submission import SubmissionWriter
from rapidseg.metrics import ConfusionMatrix, Scores

__all__ = [
    "SCALES",
    "ConfusionMatrix",
    "Evaluation",
    "EvaluationProtocol",
    "ImageScore",
    "InputSize",
    "LabelledImage",
    "MultiScale",
    "Observer",
    "Predictor",
    "Scores",
    "SlidingWindow",
    "SubmissionWriter",
    "WholeImage",
    "class_mapping_between",
    "evaluate",
    "predict_multi_scale",
]
