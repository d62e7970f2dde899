"""Scores of anything that predicts, on anything that is labeled. Nothing here imports PyTorch."""

from rapidseg.evaluation.class_mapping import class_mapping_between
from rapidseg.evaluation.evaluate import Evaluation, ImageScore, LabeledImage, Observer, Predictor, evaluate
from rapidseg.evaluation.protocols import (
    SCALES,
    EvaluationProtocol,
    InputScaling,
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
    "InputScaling",
    "LabeledImage",
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
