"""One real cluster for all tests: two replicas on the CPU, ended with everything it started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import psutil
import pytest

from tests.browser import ROOT, free_port


def replicas_of(process: psutil.Process) -> list[psutil.Process]:
    """The processes that compute."""
    return [p for p in process.children(recursive=True) if "ServeReplica" in " ".join(p.cmdline())]


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """url: where it is asked; replicas(): its processes. Afterwards none of its processes is left."""
    pytest.importorskip("ray")
    port, log = free_port(), tmp_path_factory.mktemp("cluster") / "log"
    settings = {"HEADLIGHT_CLUSTER_PORT": str(port), "HEADLIGHT_CLUSTER_REPLICAS": "2", "OMP_NUM_THREADS": "1",
                "HEADLIGHT_CLUSTER_CPUS": "1", "HEADLIGHT_CLUSTER_DEVICE": "cpu"}  # fmt: skip
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "headlight.core.serving.compute.ray_serve"], cwd=ROOT, env=os.environ | settings,
            stdout=subprocess.PIPE, stderr=out, text=True, start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    said = next((line for line in process.stdout if "computing servers" in line), "")
    family = psutil.Process(process.pid)
    try:
        assert said, log.read_text()
        finder: Callable[[], list[psutil.Process]] = lambda: replicas_of(family)  # noqa: E731
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}", replicas=finder, family=family)
    finally:
        started = family.children(recursive=True)
        process.terminate()
        code = process.wait(60)
        _, left = psutil.wait_procs(started, timeout=20)
        for survivor in left:
            survivor.kill()
    assert code == 0 and not left, f"left behind: {[p.name() for p in left]}"
