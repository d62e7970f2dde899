"""Data sets as sequences of NumPy samples, and their checks. Nothing here needs PyTorch.

from rapidseg.data import open_dataset

dataset = open_dataset("camvid", root="data/camvid", split="train")
sample = dataset[0]     # sample.image (H, W, 3) uint8 RGB, sample.label (H, W) uint8
dataset.labels.names    # ("Sky", "Building", ...)
"""

from __future__ import annotations

from rapidseg.data.checks.check_report import CheckReport
from rapidseg.data.checks.checking import check_dataset
from rapidseg.data.dataset import Dataset
from rapidseg.data.layouts.camvid import CamVid
from rapidseg.data.layouts.cityscapes import Cityscapes, CityscapesCoarse
from rapidseg.data.layouts.yaml_dataset import DescribedFolders
from rapidseg.data.opening import open_dataset, open_layout
from rapidseg.data.preparation import prepare_cityscapes
from rapidseg.data.sample import Sample

__all__ = [
    "CamVid",
    "CheckReport",
    "Cityscapes",
    "CityscapesCoarse",
    "Dataset",
    "DescribedFolders",
    "Sample",
    "check_dataset",
    "open_dataset",
    "open_layout",
    "prepare_cityscapes",
]
