"""`rapidseg data prepare`: what it draws and prints, and its exit status."""

from __future__ import annotations

import json

from tests.support.data_folders import cut, write_image
from tests.support.polygon_files import SIZE_HW, street, write_polygons


def write_two(root):
    paths = []
    for seed, folder in enumerate(("gtFine", "gtCoarse")):
        paths.append(write_polygons(root, street(seed), folder=folder))
    write_image(root / "leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png", SIZE_HW)
    return paths


def test_draws_checks_and_goes_on(rapidseg, tmp_path):
    write_two(tmp_path / "cs")
    status, output, error = rapidseg("data", "prepare", "cityscapes", "cs")
    assert (status, error) == (0, "")
    assert output == (
        "cs: 2 polygon files; 8 masks drawn, 0 already existed\n"
        "check them with: rapidseg data check cityscapes --root cs\n"
    )
    assert rapidseg("data", "check", "cityscapes", "--root", "cs")[0] == 0
    assert rapidseg("data", "check", "cityscapes-coarse", "--root", "cs")[0] == 0
    assert "no masks drawn, 8 already existed" in rapidseg("data", "prepare", "cityscapes", "cs")[1]
    words = ["--labels", "labelIds, instanceIds", "--overwrite", "--workers", "2"]
    assert "4 masks drawn, 0 already existed" in rapidseg("data", "prepare", "cityscapes", "cs", *words)[1]


def test_a_broken_file_is_named_and_the_status_is_1(rapidseg, tmp_path):
    _, coarse = write_two(tmp_path / "cs")
    cut(coarse)
    status, output, error = rapidseg("data", "prepare", "cityscapes", "cs")
    assert status == 1
    assert "cs: 2 polygon files, 1 skipped; 4 masks drawn" in output
    name = "gtCoarse/train/ulm/ulm_000000_000019_gtCoarse_polygons.json"
    assert error.startswith(f"skipped: {name}: Invalid JSON: EOF while parsing")
    status, output, error = rapidseg("data", "prepare", "cityscapes", "cs", "--json")
    assert (status, error) == (1, "")
    document = json.loads(output)
    assert document.pop("seconds") >= 0
    (broken,) = document.pop("broken")
    assert broken["path"] == f"cs/{name}"
    assert document == {"root": "cs", "polygon_files": 2, "drawn": 0, "kept": 4}


def test_mistakes_are_one_message_and_exit_status_2(rapidseg, tmp_path):
    write_two(tmp_path / "cs")
    for words, message in (
        (
            ["cityscapes", "nowhere"],
            "no Cityscapes data set at nowhere: looked for gtFine or gtCoarse, but this folder",
        ),
        (["cityscapes", "."], "did you mean cs?"),
        (["camvid", "cs"], "'camvid' is not"),
        (
            ["cityscapes", "cs", "--labels", "trainIds"],
            "unknown kind of mask 'trainIds'; choose from labelIds, labelTrainIds",
        ),
        (["cityscapes", "cs", "--workers", "0"], "--workers"),
    ):
        status, output, error = rapidseg("data", "prepare", *words)
        assert (status, output) == (2, "")
        assert message in error
        assert "Traceback" not in error


def test_coarse_annotations_are_learned_beside_fine_ones(rapidseg, tmp_path):
    write_two(tmp_path / "cs")
    assert rapidseg("data", "prepare", "cityscapes", "cs", "--labels", "labelTrainIds")[0] == 0
    words = ["data.root=cs", "data.val=null", "data.repeat=3"]
    words.append("data.extra_datasets=[{name: cityscapes-coarse, root: cs, split: train, repeat: 2}]")
    status, output, error = rapidseg("train", "tiny", *words, "--dry-run", "--json")
    assert status == 0
    assert error.startswith("warning: cityscapes train and cityscapes-coarse train: no pixel of wall, ")
    assert "images that are also in" not in error  # fine and coarse labels of the same images are no mistake
    assert json.loads(output)["train_images"] == 5
