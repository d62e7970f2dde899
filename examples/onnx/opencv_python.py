"""Writes the class map of a photo with OpenCV. Usage: python opencv_python.py street.onnx photo.jpg ids.png 512x1024

The file: rapidseg export MODEL --static 512x1024 --output-kind class-map -o street.onnx
"""

import sys

import cv2

model, photo, output, size = sys.argv[1:]
height, width = map(int, size.split("x"))
network = cv2.dnn.readNetFromONNX(model)
image = cv2.resize(cv2.imread(photo), (width, height))
network.setInput(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)[None])  # (1, H, W, 3) uint8, not a blob
(class_map,) = network.forward()
cv2.imwrite(output, class_map.astype("uint8"))  # OpenCV 4 returns float32
