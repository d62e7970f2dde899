"""Random recipes and overrides: what validates passes the checks of a dry run or is refused in one sentence.

The same seed gives the same recipes. Values are ordinary, at the bounds, or far beyond them.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from rapidseg.core.errors import DatasetError, RapidSegError
from rapidseg.core.input_paths import absolute_path
from rapidseg.recipes.recipe_file import dump_recipe, flatten, load_pretraining_recipe, load_recipe, parse_recipe
from rapidseg.workflows.pretrain import pretrain
from rapidseg.workflows.train import train
from tests.support.block_scenes import write_block_scenes
from tests.support.class_folders import write_classes
from tests.support.fuzzing import Tally, check_tally, run_inputs

NUMBERS = (
    *(0, 1, 2, 3, 7, 64, 100, 255, 256, 1_000, 65_536, 1_000_000, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, 1 << 64),
    *(-1, -0.5, 1e-320, 1e-300, 1e-30, 1e-6, 0.001, 0.5, 0.999, 1.0, 1.5, 16.0, 1e6, 1e30, 1e38, 1e300, 1e308),
    *(float("nan"), float("inf"), float("-inf"), 10**30, 10**400),
)
OTHERS = (None, True, False, "", "text", "1e-3", [], [1], [0, 0], [2, 1], [0.5, 0.5], [1e6, 1e6], {}, {"a": 1}, "~x/y")
SMALL = (0, 0.01, 0.1, 0.5, 0.9, 1, 2, 3, 4, 8, 32, 48, 64, 96)  # what small runs use

# Keys that have no default in the recipes below, and sections of other kinds.
FURTHER = (
    *("clip_gradient_norm", "ema_decay", "accumulate", "model.bn_momentum", "model.options.dropout"),
    *(
        "loss.ohem.threshold",
        "loss.ohem.min_kept",
        "loss.ohem.kept_share",
        "loss.label_smoothing",
        "loss.class_weights",
    ),
    *("data.augmentation.photometric.contrast", "data.augmentation.photometric.saturation"),
    *("data.augmentation.photometric.gamma", "data.augmentation.photometric.blur_sigma", "data.repeat"),
    *("data.augmentation.photometric.noise_sigma", "data.augmentation.photometric.channel_gain"),
    *("data.augmentation.copy_paste", "data.augmentation.aspect_jitter", "data.augmentation.cat_max_ratio"),
)
SECTIONS: tuple[tuple[str, Any], ...] = (
    ("optimizer", {"kind": "adamw", "lr": 1e-3, "weight_decay": 0.01}),
    ("schedule", {"kind": "cosine", "eta_min": 0}),
    ("schedule", {"kind": "step", "milestones": [0.5], "gamma": 0.1}),
    ("loss.kind", "sigmoid"),
    ("loss.reduction", "all_pixels"),
    ("loss.ohem", {"kept_share": 0.5}),
    ("data.augmentation.log_scale", True),
    ("precision", "bf16"),
    ("batch_size", 1),
    ("accumulate", 4),
    ("accumulate", 2),
)


def random_overrides(rng: random.Random, keys: list[str], values: dict[str, Any]) -> dict[str, Any]:
    """Returns some overrides: other sections, and numbers at or beyond the bounds."""
    overrides: dict[str, Any] = dict(rng.sample(SECTIONS, rng.choice((0, 0, 1, 2))))
    for _ in range(rng.choice((1, 1, 2, 3))):
        key = rng.choice(keys)
        overrides[key] = _like(rng, values.get(key))
    return overrides


def _like(rng: random.Random, value: Any) -> Any:
    """Returns a value of the same form with other numbers, or something else."""
    if rng.random() < 0.1:
        return rng.choice(OTHERS)
    if isinstance(value, (list, tuple)):
        return [_number(rng) for _ in value]
    if isinstance(value, bool):
        return not value
    return _number(rng)


def _number(rng: random.Random) -> Any:
    return rng.choice(SMALL if rng.random() < 0.6 else NUMBERS)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_block_scenes(folder / "scenes", train=3, val=1)
    write_classes(folder / "images", train=4, val=2)
    return folder


TINY = {
    "model.options": {"width": 0.125, "aux_heads": ["deep"]},
    "batch_size": 4,
    "data.augmentation.crop_size": [32, 64],
}
VIEW = {"encoder.options": {"stem": "cifar", "width": 0.125}, "data.view.image_size": [16, 16], "data.val": "val"}
SIZES = {"batch_size": 4, "evaluation.k": 3, "method.feature_dim": 8, "method.m": 4, "epochs": 1}


def run(data: Path, folder: Path, seed: int, count: int, *, share_of_runs: float) -> Tally:
    """Tries random recipes; a share of those that validate also passes a dry run."""
    rng = random.Random(seed)
    starts = {
        "train": (load_recipe, train, "tiny", {**TINY, "data.root": data / "scenes"}),
        "pretrain": (
            load_pretraining_recipe,
            pretrain,
            "instance-discrimination_cifar10",
            {**VIEW, **SIZES, "data.root": data / "images"},
        ),
    }
    for _, start_run, name, start in starts.values():  # PyTorch takes memory at its first run
        start_run(name, overrides=start, device="cpu", dry_run=True)
    known = {kind: flatten(load(name, start)) for kind, (load, _, name, start) in starts.items()}

    def attempt(number: int, path: Path) -> str | None:
        kind = "pretrain" if number % 4 == 3 else "train"
        load, start_run, name, start = starts[kind]
        keys = [*known[kind], *(FURTHER if kind == "train" else ())]
        overrides = {**start, **random_overrides(rng, keys, known[kind])}
        is_run = rng.random() < share_of_runs
        recipe = load(name, overrides)
        try:
            assert parse_recipe(dump_recipe(recipe), type(recipe), "dump") == recipe
            if is_run:
                start_run(name, overrides=overrides, output=folder / "run", device="cpu", dry_run=True)
                assert not (folder / "run").exists()
        except DatasetError as error:
            if "Expected:\n" in str(error):  # the one refusal that has lines: it shows the folders of a data set
                return "refused"
            raise
        except RapidSegError:
            raise
        except BaseException as error:
            raise AssertionError(f"{type(error).__name__} with {overrides}") from error
        return None

    inputs: Iterator[tuple[str, bytes]] = (("train" if n % 4 != 3 else "pretrain", b"") for n in range(count))
    tally = run_inputs(inputs, attempt, folder=folder, names=lambda _: "recipe.txt", label=f"{seed}-", max_seconds=60)
    tally.growth = 0  # a batch may be large: what a pass needs is compared with what there is
    check_tally(tally)
    return tally


def test_random_recipes_pass_a_dry_run_or_are_refused(data, tmp_path):
    run(data, tmp_path, seed=1, count=250, share_of_runs=0.02)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(4))
def test_many_random_recipes_pass_a_dry_run_or_are_refused(seed, data, tmp_path):
    print(run(data, tmp_path, seed=300 + seed, count=2500, share_of_runs=1).to_json())  # noqa: T201


@pytest.mark.parametrize("path", ["~nobody/x", "a\0b", "a" * 300, "x/" * 3000, "~", ""])
def test_paths_are_completed_or_refused_without_another_error(path):
    allowed = path in ("~nobody/x", "~", "")
    with contextlib.nullcontext() if allowed else pytest.raises(ValueError, match=r"^[ -~]*$"):
        assert absolute_path(path).is_absolute()
