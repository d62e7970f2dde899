"""Non-parametric instance discrimination: every image is a class of its own.

Wu, Xiong, Yu, Lin: Unsupervised Feature Learning via Non-Parametric Instance Discrimination, CVPR 2018,
arXiv 1805.01978. The details follow the published PyTorch code that reports 80.64 % top-1 on CIFAR-10 with a ResNet-18:
negatives are drawn with replacement, the constant Z comes from the whole first batch, and momentum multiplies the new
feature.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rapidseg.core.errors import ConfigError
from rapidseg.pretraining.encoder import Encoder
from rapidseg.pretraining.methods.method import Method, PretrainingBatch


class InstanceDiscrimination(nn.Module):
    """The memory bank and the loss over it.

    Args:
        num_images: N, images in the data set.
        feature_dim: D, length of a feature.
        num_negatives: m, rows drawn from the bank for each image; 0 computes the full softmax over all N rows
            (equation 2 of the paper) instead of noise-contrastive estimation (section 3.2).
        temperature: T, by which similarities are divided.
        momentum: share of the new feature in an updated row.

    Attributes:
        bank: (N, D) float32 rows of unit length.
        log_z: natural logarithm of the normalization constant; NaN until the first batch sets it.

    Raises:
        ConfigError: a value is out of range; more negatives than images.
    """

    bank: Tensor
    log_z: Tensor

    def __init__(
        self,
        num_images: int,
        feature_dim: int = 128,
        num_negatives: int = 4096,
        temperature: float = 0.1,
        momentum: float = 0.5,
    ) -> None:
        super().__init__()
        if num_images < 2 or feature_dim < 1:
            raise ConfigError(
                f"instance discrimination needs at least 2 images and 1 feature, not {num_images} and {feature_dim}"
            )
        if not 0 <= num_negatives <= num_images:
            raise ConfigError(
                f"m is {num_negatives}, but there are only {num_images} images to draw negatives from; set m to "
                f"{num_images} at most, or to 0 for the softmax over all images"
            )
        if not temperature > 0 or not 0 < momentum <= 1:
            raise ConfigError(
                f"temperature must be above 0 and momentum in (0, 1], not temperature {temperature} and momentum "
                f"{momentum}"
            )
        self.num_negatives = num_negatives
        self.temperature = temperature
        self.momentum = momentum
        self.register_buffer("bank", F.normalize(torch.randn(num_images, feature_dim)))
        self.register_buffer("log_z", torch.tensor(math.nan, dtype=torch.float64))

    @property
    def z(self) -> Tensor:
        """The normalization constant Z (equation 8 of the paper), a float64 scalar; NaN until the first batch."""
        return self.log_z.exp()

    def loss(
        self,
        features: Tensor,
        image_indices: Tensor,
        negative_indices: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Computes the loss of a batch; the first call sets Z.

        With P the probability of a row (equation 4) and c = m / N, the loss is
        -(log(P_own / (P_own + c)) + sum over negatives of log(c / (P + c))), averaged over the batch. It is computed
        from logarithms, so that a low temperature cannot overflow.

        Args:
            features: (B, D) unit rows.
            image_indices: (B,) int64, which image each feature belongs to.
            negative_indices: (B, m) int64 rows of the bank; None draws them uniformly with replacement.
            generator: for the draw; None uses the global generator of the bank's device.

        Returns:
            A scalar.
        """
        num_images = len(self.bank)
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        bank = self.bank.to(features.dtype)
        if self.num_negatives == 0:
            return F.cross_entropy(features @ bank.T / self.temperature, image_indices)
        if negative_indices is None:
            shape = (len(features), self.num_negatives)
            negative_indices = torch.randint(num_images, shape, device=bank.device, generator=generator)
        rows = torch.cat([image_indices[:, None], negative_indices], dim=1)
        gathered = bank.index_select(0, rows.reshape(-1)).view(*rows.shape, -1)
        logits = torch.bmm(gathered, features[:, :, None]).squeeze(2) / self.temperature
        self._set_z(logits.detach())
        log_p = logits - self.log_z.to(logits.dtype)
        log_c = math.log(self.num_negatives / num_images)
        # log(P / (P + c)) = -softplus(log c - log P), and the same for c / (P + c).
        own = F.softplus(log_c - log_p[:, 0]).sum()
        negatives = F.softplus(log_p[:, 1:] - log_c).sum()
        return (own + negatives) / len(features)

    @torch.no_grad()
    def update(self, features: Tensor, image_indices: Tensor) -> None:
        """Moves the rows of a batch's images towards their new features, after the optimizer's step.

        Args:
            features: (B, D) unit rows.
            image_indices: (B,) int64.
        """
        rows = self.bank.index_select(0, image_indices)
        mixed = self.momentum * features.to(self.bank.dtype) + (1 - self.momentum) * rows
        self.bank.index_copy_(0, image_indices, F.normalize(mixed))

    def _set_z(self, logits: Tensor) -> None:
        # Without a branch on the value, for which the processor would have to wait for the GPU.
        first = torch.logsumexp(logits.double().flatten(), 0) - math.log(logits.numel()) + math.log(len(self.bank))
        self.log_z.copy_(torch.where(self.log_z.isnan(), first, self.log_z))


class InstanceDiscriminationMethod(Method):
    """Trains an encoder with `InstanceDiscrimination`; one view of each image."""

    num_views = 1

    def __init__(self, encoder: Encoder, task: InstanceDiscrimination) -> None:
        super().__init__(encoder)
        self.task = task
        self._features: Tensor | None = None

    def loss(self, batch: PretrainingBatch) -> Tensor:
        features = self.encoder(batch.views[0])
        self._features = features.detach()
        with torch.autocast(features.device.type, enabled=False):  # similarities need more digits than bf16 has
            return self.task.loss(features, batch.indices, generator=batch.generator)

    def after_step(self, batch: PretrainingBatch, progress: float) -> None:
        assert self._features is not None
        self.task.update(self._features, batch.indices)
        self._features = None
