"""Weighted nearest neighbors: the score of features that were learned without labels.

Wu et al., arXiv 1805.01978, section 3.4: each of the k most similar training images votes for its class with the weight
exp(similarity / temperature).
"""

from __future__ import annotations

import torch
from torch import Tensor

from rapidseg.core.errors import ConfigError

_MAX_SIMILARITIES = 1 << 26  # of queries and bank at a time: 256 MB in float32


def knn_scores(
    queries: Tensor, bank: Tensor, labels: Tensor, k: int = 200, temperature: float = 0.1, *, num_classes: int
) -> Tensor:
    """Returns the votes for each class.

    Args:
        queries: (Q, D) float rows of unit length.
        bank: (N, D) float rows of unit length.
        labels: (N,) int64 class ids of the bank's rows.
        k: neighbors that vote, at most N.
        temperature: of the votes' weights, above 0.
        num_classes: K.

    Returns:
        (Q, K) float64 sums of weights.

    Raises:
        ConfigError: `k` is not between 1 and N, or the temperature is not above 0.
    """
    if not 1 <= k <= len(bank):
        raise ConfigError(f"k is {k}, but the score has {len(bank)} images to choose neighbors from; set k lower")
    if not temperature > 0:
        raise ConfigError(f"the temperature of the nearest-neighbor score must be above 0, not {temperature}")
    parts = []
    for chunk in queries.split(max(1, _MAX_SIMILARITIES // len(bank))):
        similarities, neighbors = (chunk @ bank.T).topk(k, dim=1)
        # float64, since exp(1 / temperature) exceeds float32 for temperatures below 0.012.
        weights = (similarities.double() / temperature).exp()
        votes = torch.zeros(len(chunk), num_classes, dtype=torch.float64, device=chunk.device)
        parts.append(votes.scatter_add_(1, labels[neighbors], weights))
    return torch.cat(parts)


def top_k_accuracy(scores: Tensor, labels: Tensor, k: int) -> float:
    """Returns the share of rows whose label is among the `k` highest scores, from 0 to 1.

    Args:
        scores: (Q, K).
        labels: (Q,) int64 class ids.
        k: at least 1; all classes where there are fewer.
    """
    highest = scores.topk(min(k, scores.shape[1]), dim=1).indices
    return (highest == labels[:, None]).any(dim=1).double().mean().item()
