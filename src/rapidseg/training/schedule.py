"""The learning rate of every iteration."""

from __future__ import annotations

import math

from rapidseg.recipes.schema import PolySchedule, StepSchedule
from rapidseg.training.run_plan import RunPlan


def learning_rate(plan: RunPlan, iteration: int) -> float:
    """Returns the learning rate of one iteration.

    The warm-up rises linearly from `warmup_start` times the base rate and reaches the base rate in iteration
    `warmup_iterations`. From there to the last iteration, whose rate is exactly `eta_min`, t runs from 0 to 1, and the
    rate is `eta_min + (lr - eta_min) * f(t)`. For poly, f is `(1 - t) ** power` (Liu et al.,
    ParseNet, arXiv 1506.04579; without warm-up these are the values of mmengine's `PolyLR`); for cosine,
    `(1 + cos(pi t)) / 2` (Loshchilov and Hutter, arXiv 1608.03983). A step schedule multiplies the base rate by `gamma`
    at each milestone, and never goes below `eta_min`.

    Args:
        plan: of the run.
        iteration: counted from 0; after the last iteration the rate stays at `eta_min`.
    """
    base, schedule = plan.optimizer.lr, plan.schedule
    warmup = schedule.warmup_iterations
    if iteration < warmup:
        return base * (schedule.warmup_start + (1 - schedule.warmup_start) * iteration / warmup)
    if isinstance(schedule, StepSchedule):
        passed = sum(iteration >= round(share * plan.iterations) for share in schedule.milestones)
        return max(schedule.eta_min, base * schedule.gamma**passed)
    t = min(1.0, (iteration - warmup) / max(1, plan.iterations - 1 - warmup))
    shape = (1 - t) ** schedule.power if isinstance(schedule, PolySchedule) else (1 + math.cos(math.pi * t)) / 2
    return schedule.eta_min + (base - schedule.eta_min) * shape
