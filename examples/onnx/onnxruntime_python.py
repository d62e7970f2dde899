"""Writes the class map of a photo with ONNX Runtime. Usage: python onnxruntime_python.py street.onnx photo.jpg ids.png

The file: rapidseg export MODEL --static 512x1024 --output-kind class-map -o street.onnx
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

model, photo, output = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
_, height, width, _ = session.get_inputs()[0].shape
image = np.asarray(Image.open(photo).convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
(class_map,) = session.run(["class_map"], {"image": image[None]})[0]
Image.fromarray(class_map).save(output)
