"""`rapidseg models push`: uploads a model to the Hugging Face Hub."""

from __future__ import annotations

from rapidseg.cli.console import ProgressDisplay, show_report
from rapidseg.cli.options import model_files
from rapidseg.cli.options.common import JsonOption


def push(
    model: model_files.PushedModelArgument,
    repository: model_files.RepositoryArgument,
    private: model_files.PrivateOption = False,
    message: model_files.CommitMessageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Upload a model with its model card to the Hugging Face Hub; hf://OWNER/NAME loads it.

    HF_TOKEN needs a token that may write. The repository is created if it does not exist.
    """
    from rapidseg.cli.tables.export import print_push
    from rapidseg.workflows.push import push_model

    with ProgressDisplay() as progress:
        report = push_model(model, repository, private=private, message=message, progress=progress)
    show_report(report, as_json, print_push)
