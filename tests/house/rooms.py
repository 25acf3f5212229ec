"""The two contract types of the house, for `[tool.importlinter]` in pyproject.toml.

import-linter refuses a contract that names a module which nobody has or imports yet. Ours may: a room is
reserved, with its library, before it is furnished. What keeps a misspelt library from going unseen is in
test_contracts.py.
"""

import grimp
from importlinter import ContractCheck
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.protected import ProtectedContract
from importlinter.domain.imports import ModuleExpression


def reserve(graph: grimp.ImportGraph, *names: ModuleExpression) -> None:
    """Put the modules that are not there into the graph, empty; it is this contract's own copy."""
    for name in map(str, names):
        if name not in graph.modules:
            graph.add_module(name)


class Room(ProtectedContract):
    """Only `allowed_importers` import `protected_modules`, directly; either may be missing."""

    type_name = "room"

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        reserve(graph, *self.protected_modules, *self.allowed_importers)
        return super().check(graph, verbose)


class Apart(ForbiddenContract):
    """No `source_modules` reaches any of `forbidden_modules`, not even through others; either may be missing."""

    type_name = "apart"

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        reserve(graph, *self.source_modules, *self.forbidden_modules)
        return super().check(graph, verbose)
