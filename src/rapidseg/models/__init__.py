"""Networks for semantic segmentation as PyTorch modules, one file per architecture."""

from rapidseg.models.complexity import count_macs, count_parameters
from rapidseg.models.registry import ARCHITECTURES, create_model, get_architecture, model_from_spec
from rapidseg.models.segmentation_model import SegmentationModel
from rapidseg.models.weights_file import load_model, load_state, save_model

__all__ = [
    "ARCHITECTURES",
    "SegmentationModel",
    "count_macs",
    "count_parameters",
    "create_model",
    "get_architecture",
    "load_model",
    "load_state",
    "model_from_spec",
    "save_model",
]
