"""The fixed order of which a limit takes the first images."""

from __future__ import annotations

import numpy as np

_SEED = 0


def balanced_order(count: int, labels: np.ndarray | None) -> np.ndarray:
    """Returns a fixed random order in which classes alternate.

    Each class is shuffled on its own; then come the first image of every class, the second of every class, and so on,
    without those that have run out. The first n images of the order are therefore also among the first n + 1, and as
    many of each class, to within one, as long as the classes last. The order is the same on every machine.

    Args:
        count: number of images.
        labels: (count,) class ids; None: one shuffled order of all images.

    Returns:
        (count,) int64 indices.
    """
    # The raw output of a bit generator never changes between versions of NumPy; that of `Generator.permutation` may.
    keys = np.random.PCG64(_SEED).random_raw(count)
    shuffled = np.argsort(keys, kind="stable")
    if labels is None:
        return shuffled
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    class_sizes = np.bincount(labels)
    class_starts = np.cumsum(class_sizes) - class_sizes
    rank_in_class = np.arange(count) - np.repeat(class_starts, class_sizes)
    return by_class[np.argsort(rank_in_class, kind="stable")]
