"""Links every error under "Raises" in the API reference, even if the module that documents it does not import it.

This is an extension of Griffe, enabled in mkdocs.yml.
"""

from typing import Any

import griffe

ERRORS = "rapidseg.core.errors"


class LinkErrors(griffe.Extension):
    """Adds the names of `rapidseg.core.errors` to every module as Griffe sees it."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        names = [name for name, member in pkg[ERRORS.partition(".")[2]].members.items() if member.is_class]
        for module in _modules(pkg):
            for name in names:
                if name not in module.members:
                    module.set_member(name, griffe.Alias(name, f"{ERRORS}.{name}"))


def _modules(module: griffe.Module) -> list[griffe.Module]:
    below = [inner for child in module.modules.values() if not child.is_alias for inner in _modules(child)]
    return [module, *below]
