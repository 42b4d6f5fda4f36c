"""What the tests of training share: a folder to train in, and one where the tiny preset has been trained through."""

from __future__ import annotations

import pytest

from tests.training.texts import TrainingFolder


@pytest.fixture
def folder(tmp_path) -> TrainingFolder:
    """Texts, and nothing trained yet."""
    return TrainingFolder(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> TrainingFolder:
    """All siblings of the tiny preset, shipped; not to be changed."""
    folder = TrainingFolder(tmp_path_factory.mktemp("trained"))
    assert folder.run("--only", "") == 0
    return folder
