"""The order of the tests on a GPU."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What compiles comes last: it takes minutes, and where time is short the others have been run by then."""
    items.sort(key=lambda item: hasattr(item, "callspec") and item.callspec.params.get("compile_") == "on")
