"""Data sets on disk: which splits there are, and which mask belongs to which image.

- `base`: `DatasetLayout`, the protocol that all layouts implement.
- `camvid`, `cityscapes`: the folders of these data sets.
- `yaml_dataset`: any other folders, which a YAML file describes; `yaml_schema` holds its keys, and `descriptions/` the
  files that come with the package.
- `pairing`: finds files and pairs images with masks.

A layout reads no image. To add one, see CONTRIBUTING.md.
"""

from __future__ import annotations

from rapidseg.data.layouts.camvid import CamVid
from rapidseg.data.layouts.cityscapes import Cityscapes, CityscapesCoarse
from rapidseg.data.layouts.dataset_layout import DatasetLayout
from rapidseg.data.layouts.yaml_dataset import YamlDataset

__all__ = ["CamVid", "Cityscapes", "CityscapesCoarse", "DatasetLayout", "YamlDataset"]
