"""Writes the class map of a photo with OpenVINO. Usage: python openvino_python.py street.onnx photo.jpg ids.png

The file: rapidseg export MODEL --static 512x1024 --output-kind class-map -o street.onnx
"""

import sys

import numpy as np
import openvino
from PIL import Image

model, photo, output = sys.argv[1:]
network = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
_, height, width, _ = network.input(0).shape
image = np.asarray(Image.open(photo).convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
(class_map,) = network(image[None])["class_map"]
Image.fromarray(class_map).save(output)
