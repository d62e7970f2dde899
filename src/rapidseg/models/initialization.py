"""Initial weights, the same way in every architecture."""

from __future__ import annotations

from torch import nn


class Classifier(nn.Conv2d):
    """The 1x1 convolution from features to one logit per class.

    Its initial weights are small (OpenMMLab's `normal_init(conv_seg, std=0.01)`), so that all classes start about
    equally likely: the loss starts at the logarithm of the number of classes instead of several times that.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes, 1)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.01)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def initialize(model: nn.Module) -> None:
    """Draws normal weights scaled for ReLU (He et al., arXiv 1502.01852), zero bias, for all but classifiers."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and not isinstance(module, Classifier):
            # A depthwise convolution has one input channel per filter; fan-out would count all channels.
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out" if module.groups == 1 else "fan_in", nonlinearity="relu"
            )
            if module.bias is not None:
                nn.init.zeros_(module.bias)
