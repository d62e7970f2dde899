"""Scores of anything that predicts, on anything that is labeled. Nothing here imports PyTorch."""

from rapidseg.core.choices import ProtocolName
from rapidseg.evaluation.class_mapping import ClassMapping
from rapidseg.evaluation.protocol_settings import PROTOCOLS, ProtocolSettings
from rapidseg.evaluation.protocols import (
    SCALES,
    EvaluationProtocol,
    InputScaling,
    MultiScale,
    SlidingWindow,
    WholeImage,
    predict_multi_scale,
)
from rapidseg.evaluation.scoring import Evaluation, ImageScore, LabeledImage, Observer, Predictor, score
from rapidseg.evaluation.submission import SubmissionWriter
from rapidseg.evaluation.training_overlap import training_warnings
from rapidseg.metrics import ConfusionMatrix, Scores

__all__ = [
    "PROTOCOLS",
    "SCALES",
    "ClassMapping",
    "ConfusionMatrix",
    "Evaluation",
    "EvaluationProtocol",
    "ImageScore",
    "InputScaling",
    "LabeledImage",
    "MultiScale",
    "Observer",
    "Predictor",
    "ProtocolName",
    "ProtocolSettings",
    "Scores",
    "SlidingWindow",
    "SubmissionWriter",
    "WholeImage",
    "predict_multi_scale",
    "score",
    "training_warnings",
]
