"""The Dockerfile without Docker: its lines, one after another, in a clean Debian root, timed.

python3 scripts/debian_root.py FOLDER [BEFORE]     as root, with debootstrap installed; FOLDER lies outside the checkout

FOLDER: made anew with debootstrap, with the suite that the Dockerfile's FROM stands for. BEFORE: a shell script that is run
first, with the folder as its only argument: where a machine's own settings for pip or apt are copied in. COPY takes what
.dockerignore lets through of the files that git knows. ARG, ENV, WORKDIR, USER, COPY, RUN and CMD are understood; CMD is
printed, not run. Ends with what the image holds and how large that is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITES = {"12": "bookworm"}


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class State:
    """What the lines so far have set."""

    folder: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    workdir: str = "/"
    user: str = "0"


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's (instruction, rest) in order, continued lines joined, comments left out."""
    bare = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", bare)
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def let_through(name: str, rules: list[str]) -> bool:
    """Whether .dockerignore's rules (the last that fits decides) leave the file in."""
    inside = True
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        parts = [name, *map(str, Path(name).parents)]
        if any(fnmatch(part, pattern) or ("**/" in rule and fnmatch(Path(part).name, pattern)) for part in parts):
            inside = rule.startswith("!")
    return inside


def context() -> list[str]:
    """The files that a build would see."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [name for name in listed if name and let_through(name, rules)]


def copy(state: State, rest: str) -> None:
    """COPY SOURCE… TARGET."""
    *sources, target = rest.split()
    for name in context():
        for source in sources:
            if source == "." or name == source or name.startswith(f"{source}/"):
                inner = name if source == "." or name == source else f"{target}/{name.removeprefix(source + '/')}"
                place = state.folder / state.workdir.lstrip("/") / inner
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, place)


def variables(state: State, rest: str) -> dict[str, str]:
    """ENV's or ARG's NAME=VALUE pairs, with $NAME filled in; an ARG is taken from our own environment where it is there."""
    pairs = (pair.partition("=") for pair in rest.split())
    return {name: re.sub(r"\$(\w+)", lambda m: state.env.get(m[1], ""), value) for name, _, value in pairs}


def run(state: State, command: str) -> None:
    """RUN, as the user and in the folder that were set."""
    inside = ["chroot", f"--userspec={state.user}:{state.user}", str(state.folder), "/usr/bin/env", "-i"]
    inside += [f"{name}={value}" for name, value in state.env.items() if value]
    subprocess.run([*inside, "/bin/sh", "-c", f"cd {state.workdir} && {command}"], check=True)


def step(state: State, word: str, rest: str) -> None:
    """One line of the Dockerfile."""
    if word == "COPY":
        copy(state, rest)
    elif word == "RUN":
        run(state, rest)
    elif word == "ARG":
        state.env |= {name: os.environ.get(name, value) for name, value in variables(state, rest).items()}
    elif word == "ENV":
        state.env |= variables(state, rest)
    elif word == "USER":
        state.user = rest
    elif word == "WORKDIR":
        state.workdir = rest
        (state.folder / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif word == "CMD":
        told = " ".join(f"{name}={value}" for name, value in state.env.items() if value)
        print(f"to start it: chroot --userspec={state.user} {state.folder} env -i {told} "
              f"sh -c 'cd {state.workdir} && exec {' '.join(json.loads(rest))}'")  # fmt: skip


def debian(folder: Path, image: str) -> None:
    """A clean root of the Debian that FROM names."""
    release = re.fullmatch(r"debian:(\d+)[.\d]*-slim", image)
    if not release:
        raise SystemExit(f"FROM {image} is no debian:VERSION-slim")
    subprocess.run(["debootstrap", "--variant=minbase", SUITES[release[1]], str(folder)], check=True, stdout=2)


def contents(state: State) -> None:
    """What the image holds, in MB on disk."""
    places = [
        "",
        "usr",
        "app",
        "app/.venv",
        "app/.venv/lib/python3.11/site-packages/torch",
        "app/assets",
        "var/cache/headlight",
    ]
    for place in places:
        path = state.folder / place
        if path.exists():
            out = subprocess.run(["du", "-smx", str(path)], capture_output=True, text=True, check=True).stdout
            print(f"{out.split()[0]:>6} MB  /{place}")


def main() -> None:
    """All lines, each with its seconds."""
    folder = Path(sys.argv[1]).resolve()
    if folder.is_relative_to(ROOT) or folder.exists():
        raise SystemExit(f"{folder} must lie outside the checkout and not be there yet")
    state, begun = State(folder), time.monotonic()
    for word, rest in instructions((ROOT / "Dockerfile").read_text("utf-8")):
        start = time.monotonic()
        if word == "FROM":
            debian(folder, rest)
            if len(sys.argv) > 2:
                subprocess.run(["sh", sys.argv[2], str(folder)], check=True)
        else:
            step(state, word, rest)
        if word in ("FROM", "COPY", "RUN"):
            print(f"{time.monotonic() - start:7.1f} s  {word} {rest}", flush=True)
    print(f"{time.monotonic() - begun:7.1f} s  in all", flush=True)
    contents(state)


if __name__ == "__main__":
    main()
