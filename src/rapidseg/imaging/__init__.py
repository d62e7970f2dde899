"""Reading, writing, resizing and drawing pictures and class maps. Every color picture is (H, W, 3) uint8 RGB."""

from rapidseg.imaging.counting import count_pixels
from rapidseg.imaging.drawing import add_legend, overlay
from rapidseg.imaging.finding import IMAGE_SUFFIXES, find_images
from rapidseg.imaging.reading import read_image, read_mask
from rapidseg.imaging.resizing import MINIMUM_SIDE, input_size_hw, resize_image
from rapidseg.imaging.writing import write_class_map, write_image

__all__ = [
    "IMAGE_SUFFIXES",
    "MINIMUM_SIDE",
    "add_legend",
    "count_pixels",
    "find_images",
    "input_size_hw",
    "overlay",
    "read_image",
    "read_mask",
    "resize_image",
    "write_class_map",
    "write_image",
]
