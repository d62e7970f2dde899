"""The sum of the losses of a network's heads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from rapidseg.core.errors import ConfigError
from rapidseg.losses.pixel import PixelLoss
from rapidseg.losses.semantic_encoding import SemanticEncodingLoss

PRESENCE_OUTPUT = "se_logits"  # of the Enc head: (N, K), one for each class of the whole image


class HeadLosses(nn.Module):
    """Applies one loss to the logits of every head and adds them up, each with its weight.

    Logits of whole images, `se_logits`, have a loss of their own, `SemanticEncodingLoss`.

    Args:
        loss: the loss of one head.
        weights: for each output of the network's `forward_all`, such as `logits` and `aux_0_logits`, its factor.
    """

    def __init__(self, loss: PixelLoss, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.loss = loss
        self.presence_loss = SemanticEncodingLoss(ignore_index=loss.ignore_index)
        self.weights = dict(weights)

    def check_outputs(self, names: Iterable[str]) -> None:
        """Makes sure that the weights fit a network.

        Args:
            names: keys of what the network's `forward_all` returns.

        Raises:
            ConfigError: an output has no weight, or a weight has no output.
        """
        names = list(names)
        if missing := [name for name in names if name not in self.weights]:
            raise ConfigError(
                f"the network has the output {missing[0]!r}, but the loss has no weight for it; "
                f"give loss.head_weights a value for each of: {', '.join(names)}"
            )
        if surplus := [name for name in self.weights if name not in names]:
            raise ConfigError(
                f"loss.head_weights has {surplus[0]!r}, but the network has no such output; it has: {', '.join(names)}"
            )

    def forward(
        self, outputs: Mapping[str, Tensor], labels: Tensor, upsample: Callable[[Tensor, tuple[int, int]], Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Computes the total and its parts.

        Args:
            outputs: (N, K, h, w) logits of each head, (N, K) of whole images.
            labels: (N, H, W), integer class ids or the ignored value.
            upsample: brings logits to the labels' size, as the network itself does.

        Returns:
            The sum, a float32 scalar, and the weighted loss of each head, detached.
        """
        size_hw = (labels.shape[1], labels.shape[2])
        parts = {}
        for name, weight in self.weights.items():
            if name == PRESENCE_OUTPUT:
                parts[name] = weight * self.presence_loss(outputs[name], labels)
                continue
            # Interpolation and softmax run along rows of one class: planes in memory are several times faster on a
            # CPU than the channels-last layout that convolutions like. Autocast would interpolate in half precision.
            with torch.autocast(labels.device.type, enabled=False):
                logits = upsample(outputs[name].float().contiguous(), size_hw)
            parts[name] = weight * self.loss(logits, labels)
        return torch.stack(list(parts.values())).sum(), {name: part.detach() for name, part in parts.items()}
