"""Reading, writing, resizing and drawing pictures and class maps. Every colour picture is (H, W, 3) uint8 RGB."""

from rapidseg.imaging.counting import count_pixels
from rapidseg.imaging.drawing import add_legend, overlay
from rapidseg.imaging.finding import IMAGE_SUFFIXES, find_images
from rapidseg.imaging.reading import read_image, read_mask
from rapidseg.imaging.resizing import MINIMUM_SIDE, resize_image, working_size_hw
from rapidseg.imaging.writing import write_class_map, write_image

__all__ = [
    "IMAGE_SUFFIXES",
    "MINIMUM_SIDE",
    "add_legend",
    "count_pixels",
    "find_images",
    "overlay",
    "read_image",
    "read_mask",
    "resize_image",
    "working_size_hw",
    "write_class_map",
    "write_image",
]
