"""From nothing to a segmented image by the commands alone: draw, check, train, evaluate, export, predict."""

import json

import pytest


@pytest.mark.slow
def test_drawn_scenes_become_a_model_that_segments_others(rapidseg, tmp_path):
    def run(*words):
        status, output, error = rapidseg(*words, "--json")
        assert status == 0, error
        return json.loads(output)

    run("data", "synth", "scenes", "--images", "32", "--val-images", "8", "--image-size", "128x256")
    run("data", "check", "cityscapes", "--root", "scenes")
    augmentation = ["data.augmentation.crop_size=[128,256]", "data.augmentation.scale_range=[0.75,1.5]"]
    schedule = ["iterations=200", "batch_size=8", "evaluate_every=200", "model.input_short_side=128"]
    trained = run("train", "tiny", "data.root=scenes", *augmentation, *schedule, "--output", "run")
    # A network that has learned nothing gives each pixel one class: at best a third of the pixels are right.
    assert trained["best"]["pixel_accuracy"] > 0.6

    of_checkpoint = run("eval", "run/best.safetensors", "--data", "cityscapes", "--root", "scenes")
    assert of_checkpoint["mean_iou"] == pytest.approx(trained["best"]["mean_iou"], abs=1e-6)
    run("export", "run/best.safetensors", "-o", "model.onnx")
    for engine in ("openvino", "onnxruntime"):
        of_file = run("eval", "model.onnx", "--data", "cityscapes", "--root", "scenes", "--engine", engine)
        # Sums in another order turn single pixels on borders between classes.
        assert of_file["mean_iou"] == pytest.approx(of_checkpoint["mean_iou"], abs=1e-3)

    record = run("predict", "scenes/leftImg8bit/val/synth", "--model", "model.onnx")
    assert len(record["files"]) == 8
    assert len(list((tmp_path / "predictions" / "overlays").iterdir())) == 8
