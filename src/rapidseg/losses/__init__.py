"""What training minimises: losses over labelled pixels, and their sum over the heads of a network."""

from rapidseg.losses.class_weights import balanced_class_weights
from rapidseg.losses.heads import HeadLosses
from rapidseg.losses.ohem import Ohem
from rapidseg.losses.pixel import PixelLoss
from rapidseg.losses.presence import PresenceLoss

__all__ = ["HeadLosses", "Ohem", "PixelLoss", "PresenceLoss", "balanced_class_weights"]
