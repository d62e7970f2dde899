"""Data sets as sequences of NumPy samples, and checks of their files. Nothing here needs PyTorch.

from rapidseg.data import open_dataset

dataset = open_dataset("camvid", root="data/camvid", split="train")
sample = dataset[0]     # sample.image (H, W, 3) uint8 RGB, sample.label (H, W) uint8
dataset.labels.names    # ("Sky", "Building", ...)

`layouts` finds the image and the mask of every sample, `masks` turns mask files into class ids, `dataset` reads
samples, `augmentation` makes training samples, and `checks` looks for mistakes before training. `classification` opens
images with one class each, for pre-training.
"""

from __future__ import annotations

from rapidseg.data.checks import CheckReport, check_dataset
from rapidseg.data.cityscapes_preparation import prepare_cityscapes
from rapidseg.data.dataset import Dataset
from rapidseg.data.layouts import CamVid, Cityscapes, CityscapesCoarse, YamlDataset
from rapidseg.data.opening import open_dataset, open_layout
from rapidseg.data.sample import Sample

__all__ = [
    "CamVid",
    "CheckReport",
    "Cityscapes",
    "CityscapesCoarse",
    "Dataset",
    "Sample",
    "YamlDataset",
    "check_dataset",
    "open_dataset",
    "open_layout",
    "prepare_cityscapes",
]
