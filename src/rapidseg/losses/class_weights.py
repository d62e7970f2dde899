"""Class weights that emphasize rare classes."""

from __future__ import annotations

import numpy as np


def balanced_class_weights(pixel_counts: np.ndarray) -> np.ndarray:
    """Returns weights by class frequency: w_c = 1 / ln(1.02 + p_c), where p_c is the class's share of labeled pixels.

    The formula is ENet's (Paszke et al., arXiv 1606.02147, section 5.1). Before scaling, weights are at most about 50.
    They are scaled so that their mean over the pixels, the sum of p_c w_c, is 1 and the loss keeps its scale.

    Args:
        pixel_counts: (K,) integers, labeled pixels per class in the training split, not all 0.

    Returns:
        (K,) float64 weights.
    """
    shares = pixel_counts / pixel_counts.sum()
    weights = 1 / np.log(1.02 + shares)
    return np.asarray(weights / (shares * weights).sum())
