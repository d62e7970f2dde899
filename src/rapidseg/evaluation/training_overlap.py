"""Whether a model is scored on images that it was trained on."""

from __future__ import annotations

from rapidseg.core.spec import ModelSpec, join_splits
from rapidseg.data import Dataset


def training_warnings(name: str, spec: ModelSpec, dataset: Dataset) -> tuple[str, ...]:
    """Returns a warning where a model is scored on a split on which it was trained.

    Args:
        name: what messages call the model.
        spec: its specification.
        dataset: the labeled images.
    """
    scored = [f"{dataset.name}/{split}" for split in dataset.split.split("+")]
    learned = [entry for entry in scored if entry in spec.training_splits]
    if not learned:
        return ()
    return (
        f"{name} was trained on {join_splits(learned)}, so these scores do not measure its accuracy on new images; "
        "choose a split that it was not trained on",
    )
