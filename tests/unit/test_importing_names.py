"""The name of a published model as the source of an import."""

from __future__ import annotations

import pytest
import torch

from rapidseg import zoo
from rapidseg.core.errors import ModelFileError
from rapidseg.importing import load_checkpoint, recognition, template
from tests.support.published import published_state

NAME = "fast-scnn-cityscapes"


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What is asked of the net, which answers every address with a checkpoint of OpenMMLab's Fast-SCNN."""
    torch.save({"state_dict": published_state("openmmlab")}, tmp_path / "published.pth")
    places, locate = [], recognition.locate

    def locate_here(place, **options):
        places.append(place)
        return locate(str(tmp_path / "published.pth") if recognition.is_url(place) else place, **options)

    monkeypatch.setattr(recognition, "locate", locate_here)
    monkeypatch.chdir(tmp_path)
    return places


def test_a_name_stands_for_the_address_of_its_weights(asked):
    model = load_checkpoint(NAME)
    assert asked == [zoo.find(NAME).url]
    assert (model.spec.architecture, model.spec.labels.num_classes) == ("fast-scnn", 19)


def test_a_file_of_that_name_goes_first(asked, tmp_path):
    (tmp_path / "published.pth").rename(tmp_path / NAME)
    load_checkpoint(NAME)
    assert asked == [NAME]


def test_an_unknown_name_is_answered_with_the_nearest(asked):
    with pytest.raises(ModelFileError) as error:
        load_checkpoint("fast-scnn-citiscapes")
    assert str(error.value) == (
        f"fast-scnn-citiscapes is neither a file nor the name of a model (did you mean '{NAME}' or "
        "'fast-scnn-camvid'?); `rapidseg models` lists them"
    )
    assert asked == []


def test_options_that_need_pytorch_are_named():
    known = template.variant_options()
    fast, psp = known["fast-scnn"], known["pspnet"]
    options = next(iter(fast.values()))
    assert template.unusual_options("fast-scnn", {**options, "width": 0.5}) == "width=0.5"
    options = next(iter(psp.values()))
    assert template.unusual_options("pspnet", {**options, "backbone": "resnet18"}) == "backbone=resnet18"
    assert template.unusual_options("another", {}) == ""
