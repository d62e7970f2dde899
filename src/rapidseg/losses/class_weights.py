"""Weights that let rare classes count for more."""

from __future__ import annotations

import numpy as np


def balanced_class_weights(pixel_counts: np.ndarray) -> np.ndarray:
    """Weighs classes by their frequency: w_c = 1 / ln(1.02 + p_c), where p_c is the share of labeled pixels.

    The formula is ENet's (Paszke et al., arXiv 1606.02147, section 5.1); it lets no class count for more than 50
    times a class that covers everything. The weights are then scaled so that their mean over the pixels,
    the sum of p_c w_c, is 1 and the loss keeps its scale.

    Args:
        pixel_counts: (K,) integers, labeled pixels of each class in the training split, not all of them 0.

    Returns:
        (K,) float64 weights.
    """
    shares = pixel_counts / pixel_counts.sum()
    weights = 1 / np.log(1.02 + shares)
    return np.asarray(weights / (shares * weights).sum())
