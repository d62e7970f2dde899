"""Losses: over labeled pixels, over the classes in an image, and their sum over the heads of a network."""

from rapidseg.losses.class_weights import balanced_class_weights
from rapidseg.losses.heads import HeadLosses
from rapidseg.losses.ohem import Ohem
from rapidseg.losses.pixel import PixelLoss
from rapidseg.losses.semantic_encoding import SemanticEncodingLoss

__all__ = ["HeadLosses", "Ohem", "PixelLoss", "SemanticEncodingLoss", "balanced_class_weights"]
