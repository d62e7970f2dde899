"""`rapidseg eval`: scores of a model on labeled images."""

from __future__ import annotations

import shlex
import sys

import typer

from rapidseg.cli.console import ProgressDisplay, print_json
from rapidseg.cli.help import examples
from rapidseg.cli.options import common, evaluate


def register(app: typer.Typer) -> None:
    """Adds `eval`."""
    epilog = examples(
        "rapidseg eval mine.onnx --data my-streets.yaml --html report.html",
        "rapidseg eval --data camvid --root camvid --split test -o test.json",
    )
    app.command("eval", epilog=epilog)(evaluate_model)


def evaluate_model(
    data: common.RequiredDataOption,
    model: common.ModelArgument = None,
    root: common.RootOption = None,
    split: common.SplitOption = "val",
    class_mapping: common.ClassMappingOption = None,
    engine: common.EngineOption = "auto",
    precision: common.PrecisionOption = "auto",
    device: common.DeviceOption = "auto",
    input_size: common.InputSizeOption = None,
    protocol: evaluate.ProtocolOption = "whole",
    crop: evaluate.CropOption = None,
    stride: evaluate.StrideOption = None,
    scales: evaluate.ScalesOption = None,
    flip: evaluate.FlipOption = None,
    subsample: evaluate.SubsampleOption = "1",
    worst: evaluate.WorstOption = 5,
    save: evaluate.SaveOption = None,
    submission: evaluate.SubmissionOption = None,
    html: evaluate.HtmlOption = None,
    output: common.ReportFileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Score a model on a labeled data set: IoU and accuracy of each class, and their means.

    Scores are at the labels' own size, over the pixels of the whole split; checkpoints and exported files are scored
    alike. A warning says so where the model was trained on the split.
    """
    from rapidseg.cli.tables.evaluate import print_report
    from rapidseg.workflows.evaluate import evaluate as run

    with ProgressDisplay() as progress:
        report = run(
            model,
            data=data,
            root=root,
            split=split,
            protocol=protocol,
            crop=common.optional_size(crop),
            stride=common.optional_size(stride),
            scales=evaluate.optional_scales(scales),
            flip=flip,
            input_size=common.optional_input_size(input_size),
            subsample=int(subsample),
            class_mapping=class_mapping,
            engine=engine,
            precision=precision,
            device=device,
            worst=worst,
            save=save,
            submission=submission,
            output=output,
            html=html,
            command=shlex.join(["rapidseg", *sys.argv[1:]]),
            progress=progress,
        )
    print_json(report.to_dict()) if as_json else print_report(report)
