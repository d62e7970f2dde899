"""Documents of runs, their comparison and their pages."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.errors import InputError
from rapidseg.core.labels import LabelSet
from rapidseg.evaluation.report import Comparison, ExtremeImages, Run, SavedImages, page, read_run
from rapidseg.evaluation.report.pictures import MAX_SIDE, draw_panels
from tests.support.evaluated_runs import LABELS, Scene, Scenes, make_run_document, write_run


def make_run(wrong, **changes):
    return Run.model_validate(make_run_document(Scenes(wrong), **changes))


def decode(address):
    kind, content = re.fullmatch(r"data:image/(\w+);base64,(.+)", address).groups()
    return kind, Image.open(io.BytesIO(base64.b64decode(content)))


def test_the_document_says_everything_and_can_be_read_again(tmp_path):
    path = write_run(tmp_path / "run.json", [0.5, 0.0, None, 0.25])
    document = json.loads(path.read_text())
    assert [image["name"] for image in document["worst"]] == ["scene/0", "scene/3"]
    assert document["date"] == "2026-11-21T12:30:00Z"
    run = read_run(path)
    assert run.labels == LABELS
    assert run.scores.mean_iou == pytest.approx(document["mean_iou"])
    assert run.counts.tolist() == document["confusion_matrix"]
    assert run.images[2].mean_iou is None
    assert [image.name for image in run.worst(5)] == ["scene/0", "scene/3"]  # half of the three that have a score
    assert [image.name for image in run.best(5)] == ["scene/1"]
    assert run.title == "model.onnx on scenes val"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG", r"run.json is not the JSON document of an evaluation \(Invalid JSON"),
        (
            b"{}",
            r"run.json is not the JSON document of an evaluation \(the key 'version' is missing; .*\); write one with",
        ),
        (b"[1, 2]", "run.json is not the JSON document of an evaluation"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path, content, message):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_run(tmp_path / "run.json")


def test_a_document_that_is_missing_or_does_not_fit_itself_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*other\.json: No such file"):
        read_run(tmp_path / "other.json")
    document = make_run_document(Scenes([0.5]))
    document["confusion_matrix"] = [[1, 2], [3, 4]]
    (tmp_path / "run.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="the confusion matrix is not 3x3, as 3 classes need it"):
        read_run(tmp_path / "run.json")


def test_a_comparison_has_what_changed():
    comparison = Comparison(make_run([0.5, 0.5, None, 0.25]), make_run([0.25, 0.5, None, 0.5]))
    assert [change.name for change in comparison.images] == ["scene/3", "scene/1", "scene/0"]
    assert [change.name for change in comparison.lost(5)] == ["scene/3"]
    assert [change.name for change in comparison.gained(5)] == ["scene/0"]
    assert comparison.gained(5)[0].difference == -comparison.lost(5)[0].difference > 0
    assert [change.name for change in comparison.classes] == list(LABELS.names)
    assert [change.name for change in comparison.means] == ["mIoU", "mean accuracy", "pixel accuracy"]
    document = comparison.to_dict(1)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert (document["dataset"], len(document["runs"]), document["lost"][0]["name"]) == ("scenes", 2, "scene/3")


def test_a_class_that_one_run_has_no_figure_for_is_none_and_a_dash(tmp_path):
    nothing = make_run([None])
    comparison = Comparison(nothing, nothing)
    assert comparison.to_dict(5)["classes"][0] == {"name": "road", "first": None, "second": None, "difference": None}
    page.write_comparison_page(tmp_path / "report.html", comparison, num_images=5)
    page.write_run_page(tmp_path / "run.html", nothing)
    for name in ("report.html", "run.html"):
        content = (tmp_path / name).read_text("utf-8")
        assert "<td>–</td>" in content
        assert "nan" not in content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": LabelSet.generic(3)},
            r"the first was scored on 3 classes \(road, car, sky\), the second on 3 \(class_0, class_1, class_2\)",
        ),
        ({"split": "test"}, "the first is of scenes val, the second of scenes test; evaluate both on the same data"),
        ({"images": ()}, "their images differ: 1 in the first, 0 in the second, or their names"),
        ({"confusion_matrix": ((9, 0, 0), (0, 0, 0), (0, 0, 0))}, "their labels differ: the first has 800 pixels of"),
    ],
)
def test_runs_on_other_data_are_not_compared(changes, message):
    run = make_run([0.5])
    other = Run.model_validate({**run.model_dump(), **changes})
    with pytest.raises(InputError, match="the runs cannot be compared: .*" + message):
        Comparison(run, other)


def test_pictures_of_the_worst_and_the_best_images_are_kept_and_no_others():
    shares = [0.3, 0.9, None, 0.0, 0.6, 0.1, 0.8, 0.2]
    extremes = ExtremeImages(LABELS, 2)
    run = Run.model_validate(make_run_document(Scenes(shares), observers=(extremes,)))
    assert [row.name for row in extremes.worst] == [image.name for image in run.worst(2)] == ["scene/1", "scene/6"]
    assert [row.name for row in extremes.best] == [image.name for image in run.best(2)] == ["scene/3", "scene/5"]
    assert extremes.best[0].note == "mIoU 1.000"
    few = ExtremeImages(LABELS, 5)
    make_run_document(Scenes([0.5, 0.0, 0.25]), observers=(few,))
    assert [row.name for row in few.worst] == ["scene/0", "scene/2"]
    assert [row.name for row in few.best] == ["scene/1"]
    none = ExtremeImages(LABELS, 0)
    make_run_document(Scenes([0.5, 0.0]), observers=(none,))
    assert none.worst == none.best == []


def test_panels_are_small_and_class_maps_keep_their_colors():
    label = np.zeros((600, 1200), np.uint8)
    label[:, 400:] = 1
    label[:, 800:] = LABELS.ignore_index
    sample = Scene("a", np.full((600, 1200, 3), (250, 128, 5), np.uint8), label)
    panels = draw_panels(sample, {"prediction": np.full((600, 1200), 2, np.uint8)}, LABELS)
    assert [panel.caption for panel in panels] == ["image", "label", "prediction"]
    kinds, pictures = zip(*(decode(panel.address) for panel in panels), strict=True)
    assert kinds == ("jpeg", "png", "png")
    assert all(picture.size == (MAX_SIDE, 240) for picture in pictures)
    image, shown, predicted = (np.array(picture.convert("RGB")).astype(int) for picture in pictures)
    assert np.abs(image - (250, 128, 5)).max() < 12  # JPEG
    assert [tuple(shown[100, x]) for x in (10, 240, 470)] == [*LABELS.palette[:2], (0, 0, 0)]
    assert np.unique(predicted.reshape(-1, 3), axis=0).tolist() == [list(LABELS.palette[2])]


def test_saved_pictures_that_are_gone_are_left_out(tmp_path):
    run = make_run([0.5], saved=str(tmp_path / "gone"), data="camvid", root=str(tmp_path))
    assert SavedImages({"prediction": run}).rows({"scene/0": "mIoU 0.5"}) == []
    assert SavedImages({"prediction": make_run([0.5])}).rows({"scene/0": "mIoU 0.5"}) == []


def test_a_page_holds_all_figures_and_needs_nothing_but_itself(tmp_path):
    extremes = ExtremeImages(LABELS, 1)
    document = make_run_document(Scenes([0.5, 0.0, 0.25]), observers=(extremes,))
    page.write_run_page(tmp_path / "run.html", Run.model_validate(document), worst=extremes.worst, best=extremes.best)
    content = (tmp_path / "run.html").read_text("utf-8")
    assert not re.search(r"https?:|<script|<link|@import|url\(", content)
    assert "default-src 'none'" in content
    for entry in document["classes"]:
        assert f"<td>{entry['iou']:.3f}</td><td>{entry['accuracy']:.3f}</td>" in content
    for row, counts in enumerate(document["confusion_matrix"]):
        for column, count in enumerate(counts):
            assert f"{LABELS.names[row]} predicted as {LABELS.names[column]}: {count:,} pixels" in content
            assert count == 0 or f">{100 * count / sum(counts):.1f}</td>" in content
    for text in (document["command"], "model.onnx on scenes val", "whole image, single scale", "rapidseg 1.2.3"):
        assert text in content
    assert "openvino, float32, cpu" in content
    assert "2026-11-21 12:30 UTC" in content
    assert content.count("<img src=") == 6


def test_categories_have_a_table_of_their_own(tmp_path):
    categorized = LABELS.model_copy(update={"categories": ("ground", "thing", "thing")})
    run = make_run([0.5]).model_copy(update={"labels": categorized})
    page.write_run_page(tmp_path / "run.html", run)
    content = (tmp_path / "run.html").read_text("utf-8")
    road = run.counts[0, 0] / (run.counts[0].sum() + run.counts[:, 0].sum() - run.counts[0, 0])
    assert re.search(rf'<th scope="row">ground</th>.*<td>{road:.3f}</td>', content)


def test_names_cannot_put_anything_into_a_page(tmp_path):
    evil = '<img src=x onerror="alert(1)">'
    labels = LabelSet(names=(evil, "car", "sky"), palette=LABELS.palette)
    run = make_run([0.5]).model_copy(update={"model": evil, "command": evil, "labels": labels})
    page.write_run_page(tmp_path / "run.html", run)
    page.write_comparison_page(tmp_path / "comparison.html", Comparison(run, run), num_images=5)
    for name in ("run.html", "comparison.html"):
        content = (tmp_path / name).read_text("utf-8")
        assert "<img" not in content
        assert "&lt;img src=x" in content
