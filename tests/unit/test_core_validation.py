"""Messages about values that a model rejects: every kind of key and type, in words for whoever wrote the file."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError, field_validator

from rapidseg.core.validation import dotted_keys, explain_validation


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sgd(Strict):
    name: Literal["sgd"]
    lr: float = Field(gt=0)
    momentum: float = 0.9


class Adam(Strict):
    name: Literal["adam"]
    lr: float = Field(gt=0)
    betas: tuple[float, float] = (0.9, 0.99)


class Source(Strict):
    path: str
    weight: int = 1


class Run(Strict):
    title: str = "run"
    steps: int = Field(default=1, ge=1)
    mode: Literal["fast", "exact"] = "fast"
    cached: bool = False
    scale: float | None = Field(default=None, allow_inf_nan=False)
    size: int | tuple[int, int] | None = None
    weights: Literal["balanced"] | list[float] | None = None
    optimizer: Annotated[Sgd | Adam, Field(discriminator="name")] = Sgd(name="sgd", lr=1)
    sources: list[Source] = []
    named: dict[str, Source] = {}
    ids: dict[StrictInt | StrictStr, StrictInt | StrictStr] = {}
    section: Source | None = None
    width: int = Field(default=3, alias="imgWidth")
    license: str | None = Field(default=None, validation_alias=AliasChoices("license", "licence"))

    @field_validator("title")
    @classmethod
    def _check(cls, title: str) -> str:
        if title == "bad":
            raise ValueError("the title is taken; choose another")
        return title


def explain(values: Any, model: type[BaseModel] = Run, **options: str) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    return explain_validation(caught.value, model, **options)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stepz": 3}, "unknown key 'stepz' (did you mean 'steps'?)"),
        ({"zzz": 3}, "unknown key 'zzz'"),
        ({"lr": 3}, "unknown key 'lr' (did you mean 'optimizer.lr'?)"),
        ({"section": {"path": "x", "weigth": 3}}, "unknown key 'section.weigth' (did you mean 'section.weight'?)"),
        (
            {"sources": [{"path": "a"}, {"pth": "b"}]},
            "unknown key 'sources.1.pth' (did you mean 'sources.1.path'?)",
        ),
        ({"named": {"x": {"pth": "a"}}}, "unknown key 'named.x.pth' (did you mean 'named.x.path'?)"),
        (
            {"optimizer": {"name": "sgd", "lr": 1, "momentun": 1}},
            "unknown key 'optimizer.momentun' (did you mean 'optimizer.momentum'?)",
        ),
        (
            {"optimizer": {"name": "sgd", "lr": 1, "betas": [1, 2]}},
            "unknown key 'optimizer.betas', which belongs to another kind of optimizer; remove it or replace the whole "
            "section 'optimizer'",
        ),
        ({"width": 3}, "unknown key 'width' (did you mean 'imgWidth'?)"),
        ({"a": 1, "title": 3}, "unknown key 'a'"),  # the others wait until the keys are right
    ],
)
def test_an_unknown_key_comes_with_the_nearest_valid_one(values, message):
    assert explain(values) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"section": {}}, "the key 'section.path' is missing"),
        ({"sources": [{}]}, "the key 'sources.0.path' is missing"),
        ({"named": {"x": {}}}, "the key 'named.x.path' is missing"),
        ({"optimizer": {"lr": 1}}, "the key 'optimizer.name' is missing"),
        ({"optimizer": {"name": "adam"}}, "the key 'optimizer.lr' is missing"),
    ],
)
def test_a_missing_key_is_named(values, message):
    assert explain(values) == message


def test_missing_keys_come_with_the_advice_of_the_caller_and_five_at_most():
    class Many(Strict):
        a: int
        b: int
        c: int
        d: int
        e: int
        f: int
        g: int

    assert explain({"sources": [{}]}, missing_advice="; write {key}=VALUE").endswith("; write sources.0.path=VALUE")
    assert explain({}, Many).startswith("the key 'a' is missing; the key 'b' is missing; ")
    assert explain({}, Many).endswith("the key 'e' is missing; and 2 more")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"title": 3}, "title should be text, not 3"),
        ({"title": "bad"}, "title: the title is taken; choose another"),
        ({"steps": "x"}, "steps should be an integer, not 'x'"),
        ({"steps": 1.5}, "steps should be an integer, not 1.5"),
        ({"steps": 0}, "steps should be greater than or equal to 1, not 0"),
        ({"mode": "exakt"}, "mode should be 'fast' or 'exact', not 'exakt' (did you mean 'exact'?)"),
        ({"cached": "maybe"}, "cached should be true or false, not 'maybe'"),
        ({"scale": "x"}, "scale should be a number, not 'x'"),
        ({"scale": float("inf")}, "scale should be a finite number, not inf"),
        ({"sources": 3}, "sources should be a list, not 3"),
        ({"sources": [3]}, "sources.0 should be keys with values, not 3"),
        ({"sources": [{"path": "a", "weight": "q"}]}, "sources.0.weight should be an integer, not 'q'"),
        ({"named": 3}, "named should be keys with values, not 3"),
        ({"named": {"x": 3}}, "named.x should be keys with values, not 3"),
        ({"named": {"1": {"path": 3}}}, "named.1.path should be text, not 3"),
        ({"section": 3}, "section should be keys with values, not 3"),
        ({"imgWidth": "q"}, "imgWidth should be an integer, not 'q'"),
        ({"licence": 3}, "licence should be text, not 3"),
        ({"title": 3, "steps": 0}, "title should be text, not 3; steps should be greater than or equal to 1, not 0"),
    ],
)
def test_a_wrong_value_is_shown_with_what_is_allowed(values, message):
    assert explain(values) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": "x"}, "size should be an integer or a list, not 'x'"),
        ({"size": [1]}, "size has too few values: [1]"),
        ({"size": [1, 2, 3]}, "size should have at most 2 items, not [1, 2, 3]"),
        ({"size": [1, "b"]}, "size.1 should be an integer, not 'b'"),
        ({"weights": "balancd"}, "weights should be 'balanced' or a list, not 'balancd' (did you mean 'balanced'?)"),
        ({"ids": {"a": 1.5}}, "ids.a should be an integer or text, not 1.5"),
        ({"ids": [1]}, "ids should be keys with values, not [1]"),
        ({"optimizer": {"name": "adm", "lr": 1}}, "'adm' is unknown; allowed are 'sgd', 'adam' (did you mean 'adam'?)"),
        ({"optimizer": {"name": "sgd", "lr": 0}}, "optimizer.lr should be greater than 0, not 0"),
        ({"optimizer": {"name": "adam", "lr": 1, "betas": [1]}}, "optimizer.betas has too few values: [1]"),
        ({"optimizer": 3}, "optimizer should be keys with values, not 3"),
    ],
)
def test_a_value_of_several_types_is_explained_by_its_key_alone(values, message):
    explained = explain(values)
    assert explained.removeprefix("optimizer.name: ") == message
    assert "Sgd" not in explained
    assert "tuple" not in explained


@pytest.mark.parametrize("values", [3, [1], "x", None])
def test_values_that_are_not_keys_have_no_key_in_the_message(values):
    assert explain(values) == f"should be keys with values, not {values!r}"


def test_a_long_value_is_cut():
    message = explain({"steps": ["x" * 1000]})
    assert message.startswith("steps should be an integer, not ['xxx")
    assert message.endswith("xxx...")
    assert len(message) < 150


def test_json_is_explained_like_other_values():
    with pytest.raises(ValidationError) as caught:
        Run.model_validate_json(json.dumps({"steps": "x", "size": {}}), strict=True)
    expected = "steps should be an integer, not 'x'; size should be an integer or a list, not {}"
    assert explain_validation(caught.value, Run) == expected
    with pytest.raises(ValidationError) as caught:
        Run.model_validate_json("{")
    assert explain_validation(caught.value, Run).startswith("Invalid JSON: EOF while parsing")


def test_dotted_keys_are_those_of_all_sections():
    keys = dotted_keys(Run)
    assert {"title", "optimizer", "optimizer.lr", "optimizer.betas", "sources.path", "named.weight"} <= set(keys)
    assert {"imgWidth", "license"} <= set(keys)
    assert not {"width", "licence"} & set(keys)
