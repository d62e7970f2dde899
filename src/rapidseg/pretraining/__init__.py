"""From images without a class per pixel to an encoder that segmentation starts from.

from rapidseg.pretraining import load_encoder

features = load_encoder("runs/pretrained/best.safetensors")(images)

`rapidseg.workflows.pretrain` runs a whole recipe, and is what the command line calls.
"""

from rapidseg.pretraining.encoder import Encoder, load_encoder
from rapidseg.pretraining.knn import knn_scores, top_k_accuracy
from rapidseg.pretraining.methods import Byol, InstanceDiscrimination, Method, Supervised

__all__ = [
    "Byol",
    "Encoder",
    "InstanceDiscrimination",
    "Method",
    "Supervised",
    "knn_scores",
    "load_encoder",
    "top_k_accuracy",
]
