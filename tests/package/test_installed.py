"""Headlight installed somewhere else than it was written, used in a folder that has a core.py of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from tests.browser import free_port
from tests.package.conftest import ROOT, copy, run

pytestmark = pytest.mark.slow

NOTEBOOK = """
import sys
import headlight as hl
result = hl.run(hl.load_model("minilm", "cpu"), "The animal was too tired.", layers=[3])
print(type(hl.head_map(result, layer=3, head=1)).__name__, hl.__file__, hl.__version__)
print(hl.run(hl.load_model("mla-rope", "cpu"), "a dog").layers[0].weights.shape[0])
from headlight.core.analysis import sibling_quality
from headlight.core.examples import examples
from headlight.core.lessons import latent
from headlight.core.long.document import long_texts
from headlight.core.memory.hardware import card
from headlight.core.memory.published import published
from headlight.core.surgery import healed, held_out
print(len(examples()), len(long_texts()), len(published()), len(sibling_quality.qualities()), len(held_out.held_out().passages))
print("streamlit" in sys.modules)
"""

PAGE = """
from streamlit.testing.v1 import AppTest
from headlight.viz.web import FRAME
app = AppTest.from_file(str(FRAME), default_timeout=200).run()
print(FRAME, list(app.exception), len(app.main))
"""


def test_the_wheel_is_small_and_puts_nothing_but_headlight_beside_other_packages(wheel: Path) -> None:
    assert wheel.stat().st_size < 80_000_000
    names = zipfile.ZipFile(wheel).namelist()
    version = (ROOT / "VERSION").read_text().strip()
    assert {name.partition("/")[0] for name in names} == {"headlight", f"headlight-{version}.dist-info"}
    assert "headlight/py.typed" in names


def test_the_wheel_holds_all_modules_and_assets_and_nothing_that_is_for_developers(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("headlight/")}
    expected = {
        f"headlight/{path.relative_to(ROOT)}"
        for room in ("core", "viz", "assets")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and not {"coref", "seeds"} & set(path.parts)
    }
    expected |= {f"headlight/{path.name}" for path in (ROOT / "headlight").iterdir() if path.is_file()}
    expected |= {
        f"headlight/top/{name}" for name in ("app.py", "VERSION", "requirements-models.txt", ".streamlit/config.toml")
    }
    assert inside == expected


def test_a_notebook_elsewhere_runs_models_draws_and_reads_every_asset(site: Path, elsewhere: Path) -> None:
    lines = run(sys.executable, "-c", NOTEBOOK, cwd=elsewhere, PYTHONPATH=str(site)).splitlines()
    assert lines[0] == f"Figure {site}/headlight/__init__.py {(ROOT / 'VERSION').read_text().strip()}"
    assert lines[1] == "6" and all(int(count) > 2 for count in lines[2].split())
    assert lines[3] == "False"


def test_a_page_is_drawn_from_the_installed_package(site: Path, elsewhere: Path) -> None:
    place, exceptions, count = run(sys.executable, "-P", "-c", PAGE, cwd=elsewhere, PYTHONPATH=str(site)).split()[-3:]
    assert place.startswith(str(site)) and exceptions == "[]" and int(count) > 5


def test_headlight_run_opens_the_installed_app_with_its_settings(site: Path, elsewhere: Path) -> None:
    port, bases = free_port(), {"PYTHONPATH": str(site)}
    command = [sys.executable, site / "bin" / "headlight", "run", "--port", str(port), "--device", "cpu"]
    command += ["--", "--server.headless", "true"]
    assert (
        _served(command, port, "headlight/preview.png", elsewhere, **bases)
        == (ROOT / "assets/preview.png").read_bytes()
    )
    shown = run(sys.executable, "-P", "-m", "streamlit", "config", "show", cwd=site / "headlight/top", **bases)
    assert 'fileWatcherType = "none"' in shown


def test_a_checkout_alone_serves_the_app_with_nothing_of_headlight_installed(
    tmp_path_factory: pytest.TempPathFactory, elsewhere: Path
) -> None:
    port = free_port()
    checkout = copy(tmp_path_factory.mktemp("checkout"), "*.safetensors", "pyproject.toml", "setup.py")
    (checkout / "assets" / "preview.png").write_bytes(b"from this checkout")
    command = [sys.executable, "-P", "-m", "streamlit", "run", checkout / "app.py", "--server.headless", "true"]
    command += ["--server.port", str(port), "--", "--device", "cpu"]
    assert _served(command, port, "headlight/preview.png", elsewhere) == b"from this checkout"


def _served(command: list[str | Path], port: int, path: str, cwd: Path, **environment: str) -> bytes:
    """What a server of ours answers at a path, once it is up."""
    with (cwd / "server.log").open("w") as log:
        server = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, stdout=log, stderr=log, env=os.environ | environment
        )
    try:
        while server.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                return bytes(answer.read())
        raise AssertionError((cwd / "server.log").read_text())
    finally:
        server.terminate()
        server.wait(20)
