"""Images with one class each, or without classes, for pre-training. Nothing here needs PyTorch.

from rapidseg.data.classification import open_images

images = open_images("data/cifar10", split="train")
images[0]             # (H, W, 3) uint8 RGB
images.labels[0]      # class id, an index of images.class_names

`image_opening` recognizes the layout of a folder or zip file. `cifar_layouts` (with `cifar_pickle`) and
`folder_layouts` are the layouts; they read files through a `FileTree` (`file_trees`), which is a folder or a zip file.
`labeled_images` is what they return, `image_sources` where its pixels come from, and `image_order` the fixed order of
which a limit takes the first images.
"""

from __future__ import annotations

from rapidseg.data.classification.image_opening import LAYOUTS, open_images
from rapidseg.data.classification.labeled_images import LabeledImages, check_classes

__all__ = ["LAYOUTS", "LabeledImages", "check_classes", "open_images"]
