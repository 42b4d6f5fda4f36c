"""What the tests of training share: a folder to train in, and one where the tiny preset has been trained through."""

from __future__ import annotations

import pytest

from tests.training.texts import Workshop


@pytest.fixture
def workshop(tmp_path) -> Workshop:
    """Texts, and nothing trained yet."""
    return Workshop(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Workshop:
    """All siblings of the tiny preset, shipped; not to be changed."""
    workshop = Workshop(tmp_path_factory.mktemp("trained"))
    assert workshop.run("--only", "") == 0
    return workshop
