"""The sum of the losses of a network's heads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from rapidseg.core.errors import ConfigError
from rapidseg.losses.pixel import PixelLoss
from rapidseg.losses.semantic_encoding import SemanticEncodingLoss

SE_OUTPUT = "se_logits"  # of the Enc head: (N, K), one logit per class for the whole image


class HeadLosses(nn.Module):
    """The weighted sum of one loss over the logits of every head.

    `se_logits`, the logits of whole images, have a loss of their own: `SemanticEncodingLoss`.

    Args:
        loss: of one head.
        weights: factor of each output of the network's `forward_all`, such as `logits` and `aux_0_logits`.
    """

    def __init__(self, loss: PixelLoss, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.loss = loss
        self.se_loss = SemanticEncodingLoss(ignore_index=loss.ignore_index)
        self.weights = dict(weights)

    def check_outputs(self, names: Iterable[str]) -> None:
        """Checks that the weights match the outputs of a network.

        Args:
            names: keys of the network's `forward_all`.

        Raises:
            ConfigError: an output has no weight, or a weight has no output.
        """
        names = list(names)
        if missing := [name for name in names if name not in self.weights]:
            raise ConfigError(
                f"the network has the output {missing[0]!r}, but the loss has no weight for it; "
                f"set loss.head_weights for each of: {', '.join(names)}"
            )
        if surplus := [name for name in self.weights if name not in names]:
            raise ConfigError(
                f"loss.head_weights has {surplus[0]!r}, but the network has no such output; it has: {', '.join(names)}"
            )

    def forward(
        self, outputs: Mapping[str, Tensor], labels: Tensor, upsample: Callable[[Tensor, tuple[int, int]], Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Computes the total loss and its parts.

        Args:
            outputs: (N, K, h, w) logits of each head; (N, K) logits of whole images.
            labels: (N, H, W), integer class ids or the ignored value.
            upsample: resizes logits to the size of the labels, as the network itself does.

        Returns:
            The total, a float32 scalar, and the weighted loss of each head, detached.
        """
        size_hw = (labels.shape[1], labels.shape[2])
        parts = {}
        for name, weight in self.weights.items():
            if name == SE_OUTPUT:
                parts[name] = weight * self.se_loss(outputs[name], labels)
                continue
            # Interpolation and softmax run along rows of one class: on a CPU they are several times faster in
            # contiguous memory than in the channels-last memory of convolutions. Autocast would interpolate in half
            # precision.
            with torch.autocast(labels.device.type, enabled=False):
                logits = upsample(outputs[name].float().contiguous(), size_hw)
            parts[name] = weight * self.loss(logits, labels)
        return torch.stack(list(parts.values())).sum(), {name: part.detach() for name, part in parts.items()}
