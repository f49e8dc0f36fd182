"""How tests run: properties without a deadline on a shared machine, in CI the same examples always.

Live tests mostly wait for the wall clock. They come first, so that the other worker computes beside
them.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("here", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in `live` first, the others in their order."""
    items.sort(key=lambda item: "live" not in item.path.parts)
