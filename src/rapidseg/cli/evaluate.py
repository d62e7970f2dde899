"""`rapidseg eval`: scores of a model on labeled images."""

from __future__ import annotations

import sys

import typer

from rapidseg.cli.console import ProgressDisplay, show_report
from rapidseg.cli.options import common, evaluation


def register(app: typer.Typer) -> None:
    """Adds `eval`."""
    app.command("eval", epilog=evaluation.EXAMPLES)(evaluate_model)


def evaluate_model(
    data: common.RequiredDataOption,
    model: common.ModelArgument = None,
    root: common.RootOption = None,
    split: common.SplitOption = "val",
    class_mapping: common.ClassMappingOption = None,
    engine: common.EngineOption = "auto",
    precision: common.PrecisionOption = "auto",
    device: common.DeviceOption = "auto",
    offline: common.OfflineOption = False,
    input_size: common.InputSizeOption = None,
    protocol: evaluation.ProtocolOption = "whole",
    crop: evaluation.CropOption = None,
    stride: evaluation.StrideOption = None,
    scales: evaluation.ScalesOption = None,
    flip: evaluation.FlipOption = None,
    subsample: evaluation.SubsampleOption = "1",
    worst: evaluation.WorstOption = 5,
    save: evaluation.SaveOption = None,
    submission: evaluation.SubmissionOption = None,
    html: evaluation.HtmlOption = None,
    output: common.ReportFileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Score a model on a labeled data set: IoU and accuracy of each class, and their means.

    Scores count all pixels, at the labels' own size. Exit status 1: images were skipped, as they cannot be segmented.
    """
    from rapidseg.cli.tables.evaluate import print_report
    from rapidseg.workflows.evaluate import evaluate as run

    # fmt: off
    with ProgressDisplay() as progress:
        report = run(
            model, data=data, root=root, split=split, class_mapping=class_mapping, protocol=protocol,
            crop=crop, stride=stride, flip=flip, scales=scales, subsample=evaluation.SUBSAMPLE[subsample],
            input_size=input_size, engine=engine, precision=precision, device=device,
            worst=worst, save=save, submission=submission, output=output, html=html,
            command=["rapidseg", *sys.argv[1:]], download=not offline, progress=progress,
        )
    # fmt: on
    show_report(report, as_json, print_report)
    raise typer.Exit(0 if report.complete else 1)
