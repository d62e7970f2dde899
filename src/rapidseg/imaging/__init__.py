"""Reading, converting, resizing, drawing and writing images and class maps. Color images are (H, W, 3) uint8 RGB."""

import numpy as np  # noqa: F401  # before OpenCV, which prints advice of its own where NumPy is broken

from rapidseg.imaging.counting import count_pixels
from rapidseg.imaging.drawing import add_legend, overlay
from rapidseg.imaging.finding import IMAGE_SUFFIXES, find_images, search_images
from rapidseg.imaging.image_files import decode_image, from_pillow, peek_pixels, read_image, read_mask
from rapidseg.imaging.inputs import ImageInput, check_image, to_image
from rapidseg.imaging.polygons import Polygon, mask_to_polygons, polygons_to_mask
from rapidseg.imaging.resizing import MINIMUM_SIDE, check_network_size, input_size_hw, resize_image
from rapidseg.imaging.rle import mask_to_rle, rle_to_mask
from rapidseg.imaging.writing import MAX_JPEG_SIDE, encode_jpeg, is_own_picture, write_class_map, write_image

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_JPEG_SIDE",
    "MINIMUM_SIDE",
    "ImageInput",
    "Polygon",
    "add_legend",
    "check_image",
    "check_network_size",
    "count_pixels",
    "decode_image",
    "encode_jpeg",
    "find_images",
    "from_pillow",
    "input_size_hw",
    "is_own_picture",
    "mask_to_polygons",
    "mask_to_rle",
    "overlay",
    "peek_pixels",
    "polygons_to_mask",
    "read_image",
    "read_mask",
    "resize_image",
    "rle_to_mask",
    "search_images",
    "to_image",
    "write_class_map",
    "write_image",
]
