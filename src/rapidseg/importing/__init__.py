"""Reads weights that others published as models of this project."""

from rapidseg.importing.backbone import load_backbone
from rapidseg.importing.built_in import is_built_in
from rapidseg.importing.checkpoint import find_checkpoint, load_checkpoint
from rapidseg.importing.class_names import LabelsLike, find_labels
from rapidseg.importing.download import Note, fetch, is_url, kept_download
from rapidseg.importing.encoder_checkpoint import find_encoder
from rapidseg.importing.initial_weights import initialize_from
from rapidseg.importing.weights_use import WeightsUse

__all__ = [
    "LabelsLike",
    "Note",
    "WeightsUse",
    "fetch",
    "find_checkpoint",
    "find_encoder",
    "find_labels",
    "initialize_from",
    "is_built_in",
    "is_url",
    "kept_download",
    "load_backbone",
    "load_checkpoint",
]
