"""What the tests of training share: a folder to train in, and one where the tiny preset has been trained through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.training.texts import TrainingFolder
from training import evaluate
from training.measures import templates


@pytest.fixture(scope="session", autouse=True)
def few_questions() -> Iterator[None]:
    """Models of the tiny preset are asked as larger ones are, but less."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templates, "ITEMS", 20)
        patch.setattr(evaluate, "SAMPLED", range(2))
        yield


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
