"""The optimizer of a run, with its learning rate schedule."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn

from rapidseg.recipes.schema import SgdOptimizer
from rapidseg.training.run_plan import RunPlan
from rapidseg.training.schedule import learning_rate


def make_optimizer(plan: RunPlan, model: nn.Module) -> OptimizerLRSchedulerConfig:
    """Returns the optimizer of all parameters that need gradients, and its schedule, as Lightning takes them."""
    options = plan.optimizer
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": parameters}]
    if not options.decay_norm_and_bias:  # scales and offsets have one dimension, kernels four
        groups = [
            {"params": [parameter for parameter in parameters if parameter.ndim > 1]},
            {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
    common: dict[str, Any] = {"lr": options.lr, "weight_decay": options.weight_decay, "foreach": True}
    optimizer: torch.optim.Optimizer
    if isinstance(options, SgdOptimizer):
        optimizer = torch.optim.SGD(groups, momentum=options.momentum, nesterov=options.nesterov, **common)
    else:
        optimizer = torch.optim.AdamW(groups, betas=options.betas, **common)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda iteration: learning_rate(plan, iteration) / options.lr
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
