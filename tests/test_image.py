"""What scripts/image.sh asks of Docker and of buildah, both stood in for; `make image image-check` does it for real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.browser import ROOT

# Each notes what it was called with; buildah also shows the pip.conf that its build would see.
STANDINS = {
    "docker": '[ "$1" = info ] && exit "$DOCKER_INFO"; echo docker "$*" >>"$CALLS"',
    "buildah": """[ "$1" = bud ] || exit 0
        for word; do case $word in *:*:ro) echo "$word" >>"$CALLS" ;; esac; done
        for word; do case $word in *:/etc/pip.conf:ro) cat "${word%:/etc/pip.conf:ro}" >>"$CALLS" ;; esac; done
        for word; do case $word in *:/mnt:ro) (cd "${word%:/mnt:ro}" && find . -type f) >>"$CALLS" ;; esac; done""",
    "debootstrap": "exit 1",
    "id": 'echo "$USER_ID"',
}


def build(folder: Path, *options: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """`scripts/image.sh build headlight` among the stand-ins, and what they noted."""
    commands = folder / "bin"
    commands.mkdir()
    for name, body in STANDINS.items():
        (commands / name).write_text(f"#!/bin/sh\n{body}\n")
        (commands / name).chmod(0o755)
    calls = folder / "calls"
    calls.touch()
    path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    settings: Mapping[str, str] = {"PATH": path, "CALLS": str(calls), "DOCKER_INFO": "1", "USER_ID": "0"}
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    ended = subprocess.run(
        ["sh", ROOT / "scripts" / "image.sh", "build", "headlight", *options],
        env=bare | {"PIP_CONFIG_FILE": os.devnull, "IMAGE_STORE": str(folder / "store")} | settings | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ended, calls.read_text()


def test_a_docker_engine_that_answers_builds_the_image_with_the_options_given(tmp_path: Path) -> None:
    ended, calls = build(tmp_path, "--build-arg", "TORCH=cuda", DOCKER_INFO="0")
    assert ended.returncode == 0, ended.stderr
    assert calls.splitlines()[0] == "docker build -t headlight --build-arg TORCH=cuda ."


def test_buildah_sees_this_machines_pip_settings_and_what_they_name_below_mnt(tmp_path: Path) -> None:
    for folder in ("wheels", "index/simple"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ca.pem").touch()
    ended, calls = build(
        tmp_path,
        PIP_FIND_LINKS=f"{tmp_path}/wheels https://example.org/wheels",
        PIP_INDEX_URL=f"file://{tmp_path}/index/simple",
        PIP_CERT=f"{tmp_path}/ca.pem",
    )
    assert ended.returncode == 0, ended.stderr
    lines = calls.splitlines()
    assert {f"{tmp_path}/{name}:/mnt{tmp_path}/{name}:ro" for name in ("wheels", "index")} < set(lines)
    assert f"find-links = /mnt{tmp_path}/wheels https://example.org/wheels" in lines
    assert f"index-url = file:///mnt{tmp_path}/index/simple" in lines
    assert f"cert = /mnt{tmp_path}/ca.pem" in lines and f".{tmp_path}/ca.pem" in lines


def test_who_has_neither_is_told_what_it_takes(tmp_path: Path) -> None:
    ended, calls = build(tmp_path, USER_ID="1000")
    assert (ended.returncode, calls) == (1, "")
    assert "apt-get install buildah debootstrap" in ended.stderr
