"""`rapidseg models cache`: what is kept of downloaded and converted weights."""

from __future__ import annotations

from rapidseg.cli.console import show_report
from rapidseg.cli.options.common import JsonOption
from rapidseg.cli.options.details import ClearOption


def cache(clear: ClearOption = False, as_json: JsonOption = False) -> None:
    """List the weights that were downloaded, and the model files that were made of checkpoints; or delete them."""
    from rapidseg.cli.tables.models import print_cache
    from rapidseg.workflows.model_cache import model_cache

    show_report(model_cache(clear=clear), as_json, print_cache)
