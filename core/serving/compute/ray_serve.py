"""The computing servers as a deployment of Ray Serve (optional: the extra [ray]), and a cluster to run it on.

    python -m headlight.core.serving.compute.ray_serve        # a local cluster, until it is interrupted

HEADLIGHT_CLUSTER_* sets how many replicas there are and what each gets; docs/scaling.md has the table.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import Annotated, Any

from pydantic_settings import BaseSettings, SettingsConfigDict

from headlight.core.errors import HeadlightError, InputError, MissingModelError
from headlight.core.serving.compute.served import REFUSED
from headlight.core.serving.compute.wire import pack_error
from headlight.core.serving.compute.worker import Question, Worker
from headlight.core.settings import from_environment, must

NAME = "headlight"


_Whole = Annotated[int, must("must be a number")]
_Number = Annotated[float, must("must be a number")]


class Cluster(BaseSettings):
    """replicas: at first and at least; max_replicas: where autoscaling ends (0: no autoscaling); ongoing: requests a replica
    at which another is started; cpus, gpus: what each replica is given; batch: texts read together at most; wait_ms: how long
    the first of a batch waits for others; host, port: where they are asked; address: of a running Ray cluster, "" to start one;
    device: "" for the best there is.
    """

    model_config = SettingsConfigDict(env_prefix="HEADLIGHT_CLUSTER_", frozen=True)

    replicas: _Whole = 2
    max_replicas: _Whole = 0
    ongoing: _Number = 4.0
    cpus: _Number = 1.0
    gpus: _Number = 0.0
    batch: _Whole = 8
    wait_ms: _Number = 2.0
    host: str = "127.0.0.1"
    port: _Whole = 8000
    address: str = ""
    device: str = ""

    @classmethod
    def from_environment(cls) -> Cluster:
        """Each field from HEADLIGHT_CLUSTER_ and its name in capitals; raises ConfigError for what is no such number."""
        return from_environment(cls)

    @property
    def scaling(self) -> dict[str, Any]:
        """How many replicas there are, in Ray Serve's words."""
        if self.max_replicas <= self.replicas:
            return {"num_replicas": self.replicas}
        bounds = {"min_replicas": self.replicas, "max_replicas": self.max_replicas}
        return {"autoscaling_config": bounds | {"target_ongoing_requests": self.ongoing}}


class Replica:
    """What answers the app's questions: a `Worker` behind HTTP, its batches filled by Ray Serve."""

    def __init__(self, device: str | None, batch: int, wait_ms: float) -> None:
        from ray import serve

        self._worker = Worker(device)
        self._read = serve.batch(max_batch_size=batch, batch_wait_timeout_s=wait_ms / 1000)(self._read_all)

    async def __call__(self, request: Any) -> Any:
        """/run, /go-on: answers as bytes; an error of headlight.core.errors as status 422."""
        from starlette.responses import Response

        try:
            asked, path = await request.json(), request.url.path
            answer = await (self._go_on(asked) if path == "/go-on" else self._run(asked))
        except HeadlightError as error:
            return Response(pack_error(error), REFUSED, media_type="application/json")
        return Response(answer, media_type="application/octet-stream", headers={"Headlight-Replica": str(os.getpid())})

    def check_health(self) -> None:
        """Asked by Ray Serve; a replica whose device no longer computes is replaced."""
        self._worker.check()

    async def _run(self, asked: Any) -> bytes:
        answer: bytes | HeadlightError = await self._read(Question.of(asked))
        if isinstance(answer, HeadlightError):
            raise answer
        return answer

    async def _read_all(self, questions: list[Question]) -> list[bytes | HeadlightError]:
        return await asyncio.to_thread(self._worker.read, questions)

    async def _go_on(self, asked: Any) -> bytes:
        try:
            reads = [[int(i) for i in ids] for ids in asked["reads"]]
            model, key, watch = str(asked["model"]), str(asked["key"]), bool(asked["watch"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("to go on takes a model, a key, reads and watch") from error
        return await asyncio.to_thread(self._worker.go_on, model, key, reads, watch)


def start(cluster: Cluster, device: str | None = None) -> None:
    """Starts the deployment, and a local Ray cluster where none is named; returns once every replica is ready.

    No usage statistics, no dashboard, nothing from the network. Raises MissingModelError where Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Each replica listens on every address for other deployments' pickles; without the token they are not even read.
    os.environ["RAY_AUTH_MODE"] = "token"
    if not cluster.address:  # all other ports of Ray on the loopback address alone, which it else does on macOS only
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
        from ray import serve
    except ImportError as error:
        raise MissingModelError("Ray is not installed here: pip install 'ray[serve]'") from error
    _connect(ray, cluster)
    serve.start(proxy_location="HeadOnly", http_options={"host": cluster.host, "port": cluster.port})
    deployment: Any = serve.deployment(
        Replica, name=NAME, max_ongoing_requests=8 * cluster.batch, health_check_period_s=5, health_check_timeout_s=20,
        graceful_shutdown_timeout_s=5, ray_actor_options={"num_cpus": cluster.cpus, "num_gpus": cluster.gpus},
        **cluster.scaling,
    )  # fmt: skip
    serve.run(deployment.bind(device, cluster.batch, cluster.wait_ms), name=NAME, route_prefix="/")


def _connect(ray: Any, cluster: Cluster) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    if cluster.address:
        ray.init(address=cluster.address, **quiet)
        return
    most = max(cluster.replicas, cluster.max_replicas)
    ray.init(
        address="local", num_cpus=int(most * cluster.cpus) + 1, include_dashboard=False, object_store_memory=100 * 2**20,
        _node_ip_address="127.0.0.1", **quiet,
    )  # fmt: skip


def stop(cluster: Cluster) -> None:
    """Takes the deployment down; a cluster that was started here goes as a whole."""
    import ray
    from ray import serve

    if cluster.address:
        serve.delete(NAME)
    ray.shutdown()


def main() -> int:
    """Runs the servers until an interrupt or SIGTERM."""
    over = threading.Event()
    try:
        cluster = Cluster.from_environment()
        start(cluster, cluster.device or None)
    except HeadlightError as error:
        print(error, file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    print(f"computing servers: {cluster.replicas} replicas at http://{cluster.host}:{cluster.port}", flush=True)
    over.wait()
    stop(cluster)
    return 0


if __name__ == "__main__":
    sys.exit(main())
