"""`rapidseg eval --html` and `rapidseg report`, as a person types them, and their pages in a real browser."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from rapidseg.evaluation import report
from tests.support.data_folders import write_camvid
from tests.support.evaluated_runs import LABELS, Scenes, make_run_document, write_run
from tests.support.tiny_onnx import write_tiny_onnx


@pytest.fixture
def evaluated(rapidseg, tmp_path):
    """Two runs on the same data, with saved predictions, and the report of the first."""
    write_camvid(tmp_path / "camvid", count=4)
    write_tiny_onnx(tmp_path / "model.onnx")
    words = ["eval", "model.onnx", "--data", "camvid", "--root", "camvid"]
    assert rapidseg(*words, "--output", "a.json", "--save", "a", "--html", "a.html")[0] == 0
    assert rapidseg(*words, "--input-size", "64x96", "--output", "b.json", "--save", "b")[0] == 0
    return tmp_path


def test_an_evaluation_writes_its_report(evaluated):
    content = (evaluated / "a.html").read_text("utf-8")
    command = "rapidseg eval model.onnx --data camvid --root camvid --output a.json --save a --html a.html"
    assert command in content
    assert json.loads((evaluated / "a.json").read_text())["command"] == command
    assert content.count("<img src=") == 4 * 3  # two worst and two best of four, each with label and prediction


def test_one_run_is_shown_again_from_its_document_and_its_saved_predictions(rapidseg, evaluated):
    status, output, error = rapidseg("report", "a.json", "--output", "again.html")
    assert (status, output, error) == (0, "wrote again.html\n", "")
    assert (evaluated / "again.html").read_text("utf-8") == (evaluated / "a.html").read_text("utf-8")
    shutil.rmtree(evaluated / "a")
    assert rapidseg("report", "a.json")[0] == 0
    assert "<img" not in (evaluated / "report.html").read_text("utf-8")


def test_two_runs_are_compared_with_pictures(rapidseg, evaluated):
    status, output, error = rapidseg("report", "a.json", "b.json", "-o", "ab.html", "--images", "1")
    assert (status, error) == (0, "")
    assert "A: model.onnx on camvid val; whole image, single scale\n" in output
    assert "B: model.onnx on camvid val; whole image, single scale, resized to 64x96" in output
    assert "mIoU" in output
    content = (evaluated / "ab.html").read_text("utf-8")
    assert "prediction of A" in content
    document = json.loads(rapidseg("report", "a.json", "b.json", "--json")[1])
    assert document["written"] == "report.html"
    first, second = (json.loads((evaluated / name).read_text())["mean_iou"] for name in ("a.json", "b.json"))
    assert document["means"][0] == {"name": "mIoU", "first": first, "second": second, "difference": second - first}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["c.json"], "cannot read c.json: No such file or directory"),
        (["a.json", "other.json"], "the runs cannot be compared: the first is of scenes val, the second of roads val"),
        (["text.json"], "text.json is not the JSON document of an evaluation"),
    ],
)
def test_mistakes_are_one_message_and_exit_status_2(words, message, rapidseg, tmp_path):
    write_run(tmp_path / "a.json", [0.5])
    write_run(tmp_path / "other.json", [0.5], dataset="roads")
    (tmp_path / "text.json").write_text("none")
    status, output, error = rapidseg("report", *words)
    assert (status, output) == (2, "")
    assert message in error
    assert not (tmp_path / "report.html").exists()


def test_without_jinja2_it_says_what_to_install_before_anything_is_predicted(rapidseg, tmp_path, monkeypatch):
    write_run(tmp_path / "a.json", [0.5])
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "rapidseg.evaluation.report.page", raising=False)
    monkeypatch.delattr(report, "page", raising=False)
    for words in (["report", "a.json"], ["eval", "none.onnx", "--data", "camvid", "--html", "a.html"]):
        status, _, error = rapidseg(*words)
        assert status == 2
        assert "jinja2 is not installed; run in the clone of RapidSeg: " in error
        assert "pip install -c constraints.txt '.[report]'" in error


class Browser:
    """Chromium without a window, cut off from the network."""

    def __init__(self, program, folder):
        self._program = program
        self._folder = folder

    def open(self, page, *options):
        """Opens a page; returns what the browser printed, and what it said about the page and itself."""
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
        flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        flags += ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", f"--user-data-dir={self._folder}"]
        command = [self._program, *flags, *options, page.as_uri()]
        # Slow only on a machine that is busy with other things; alone it takes two seconds.
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        return done.stdout, done.stderr

    def screenshot(self, page, *options):
        picture = page.with_suffix(".png")
        said = self.open(page, f"--screenshot={picture}", *options)[1]
        return np.array(Image.open(picture).convert("RGB")), said


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    program = next((path for name in names if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium or Chrome is installed to open reports with")
    return Browser(program, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report of one run and one of two, with pictures."""
    from rapidseg.evaluation.report import page

    folder = tmp_path_factory.mktemp("pages")
    extremes = report.ExtremeImages(LABELS, 2)
    wrong = [0.5, 0.0, 0.25, 0.75]
    first = report.Run.model_validate(make_run_document(Scenes(wrong), observers=(extremes,)))
    second = report.Run.model_validate(make_run_document(Scenes(wrong[::-1])))
    page.write_run_page(folder / "run.html", first, worst=extremes.worst, best=extremes.best)
    comparison = report.Comparison(first, second)
    page.write_comparison_page(
        folder / "comparison.html", comparison, num_images=2, lost=extremes.worst, gained=extremes.best
    )
    return {"run": (folder / "run.html", first), "comparison": (folder / "comparison.html", second)}


MEASURE = """<script>
const size = (node) => { const box = node.getBoundingClientRect(); return [box.width, box.height]; };
const all = (selector, what) => [...document.querySelectorAll(selector)].map(what);
document.body.dataset.measured = JSON.stringify({
  rooms: all("#classes td.bar", size), bars: all("#classes td.bar i", size),
  cells: all("#matrix td", size), colors: all("#matrix td", (node) => getComputedStyle(node).backgroundColor),
  images: all("img", (node) => [...size(node), node.naturalWidth, node.complete]),
  page: [document.documentElement.scrollWidth, window.innerWidth],
});
</script>"""


def measure(browser, page, width):
    """Returns the sizes of what a page shows; a copy of it is opened that allows scripts and has one."""
    content = page.read_text("utf-8")
    policy = re.search(r"<meta http-equiv=.*\n", content).group()
    copy = page.with_name(f"measured-{page.name}")
    copy.write_text(content.replace(policy, "").replace("</body>", MEASURE + "</body>"), "utf-8")
    dom, _ = browser.open(copy, "--dump-dom", f"--window-size={width},900")
    return json.loads(re.search(r'data-measured="([^"]+)"', dom).group(1).replace("&quot;", '"'))


@pytest.mark.parametrize(("name", "width"), [("run", 1280), ("comparison", 500)])
def test_a_browser_draws_bars_matrix_and_images_in_their_sizes(browser, pages, name, width):
    page, run = pages[name]
    found = measure(browser, page, width)
    shares = [*run.scores.iou, run.scores.mean_iou]
    each = len(found["bars"]) // len(shares)  # bars a class
    assert each == (1 if name == "run" else 2)
    for room, share, bar in zip(found["rooms"], shares, found["bars"][each - 1 :: each], strict=True):
        padding = room[0] - 2 * 0.6 * 16 if width == 1280 else room[0] - 2 * 0.35 * 16
        assert bar[0] == pytest.approx(share * padding, abs=1.5)
        assert bar[1] >= 8
    if name == "run":
        assert len(found["cells"]) == LABELS.num_classes**2
        assert min(min(cell) for cell in found["cells"]) >= 15
        assert len(set(found["colors"])) > 2
    assert len(found["images"]) == 12
    for shown_width, shown_height, natural_width, complete in found["images"]:
        assert complete
        assert natural_width == 60
        assert shown_width / shown_height == pytest.approx(60 / 40, rel=0.02)
    assert found["page"][0] <= found["page"][1]  # wide tables scroll in themselves, not the page


def requests_of_page(browser, page):
    """Returns what a page asked the network for, without what the browser asks for itself; and a picture of it."""
    log = page.with_suffix(".log")
    picture, said = browser.screenshot(page, f"--log-net-log={log}", "--window-size=1000,3600")
    events = [event.get("params", {}) for event in json.loads(log.read_text("utf-8"))["events"]]
    asked = {
        event["url"] for event in events if "url" in event and event.get("initiator") not in (None, "not an origin")
    }
    return {url for url in asked if not url.startswith(("data:", "file:"))}, picture, said


def test_a_browser_has_nothing_to_say_and_asks_the_network_for_nothing(browser, pages, tmp_path):
    (tmp_path / "other.html").write_text(
        '<img src="http://nowhere.invalid/x.png"><script>console.log("hello")</script>'
    )
    asked, _, said = requests_of_page(browser, tmp_path / "other.html")
    assert asked == {"http://nowhere.invalid/x.png"}  # so it would be seen
    assert "CONSOLE" in said
    for page, _ in pages.values():
        asked, picture, said = requests_of_page(browser, page)
        assert asked == set()
        assert "CONSOLE" not in said
        assert tuple(picture[2, 2]) == (255, 255, 255)
        for color in LABELS.palette:  # swatches, labels and predictions
            assert (picture == color).all(axis=2).sum() > 5000


def test_a_browser_set_to_dark_gets_a_dark_page(browser, pages):
    page, _ = pages["run"]
    dark, _ = browser.screenshot(page, "--blink-settings=preferredColorScheme=0", "--window-size=1000,600")
    assert dark[2, 2].max() < 40
    assert dark.max() > 200  # and light text
