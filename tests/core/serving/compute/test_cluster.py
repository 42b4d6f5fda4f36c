"""A real Ray Serve cluster: the same results as here, and a replica that is killed costs a retry and nothing else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from headlight import run
from headlight.core.decoding import Continuation
from headlight.core.errors import InputError, UnknownNameError
from headlight.core.model import Model
from headlight.core.serving.compute import Served
from headlight.core.serving.engine import Engine
from tests.core.serving.compute.test_batch import assert_same

pytestmark = pytest.mark.timeout(240)
TEXT = "Once upon a time there was"


@pytest.fixture(scope="module")
def engine(cluster: SimpleNamespace) -> Engine:
    return Engine("cpu", compute=Served(cluster.url, patience=90.0))


@pytest.mark.parametrize("name", ["minilm", "mla-rope"])
def test_a_run_of_the_cluster_is_the_run_of_this_process(engine: Engine, name: str) -> None:
    there, here = engine.run(name, TEXT), run(engine.model(name), TEXT)
    assert_same(here, there, 5e-6)  # another number of threads adds up in another order
    there = engine.run(name, TEXT, [2])
    assert list(there.layers) == [2]


def test_its_ports_are_open_to_this_machine_alone_or_ask_for_the_token(cluster: SimpleNamespace) -> None:
    import grpc

    family = [cluster.family, *cluster.family.children(recursive=True)]
    listening = [
        (p.pid, c.laddr.ip, c.laddr.port)
        for p in family
        for c in p.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    ]
    assert listening
    far = [(pid, port) for pid, ip, port in listening if ip not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")]
    assert {pid for pid, _ in far} <= {replica.pid for replica in cluster.replicas()}
    for _, port in far:  # Ray Serve's own, between deployments: there is no setting that binds it elsewhere
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for way in ("HandleRequest", "HandleRequestWithRejection"):
                with pytest.raises(grpc.RpcError) as refused:
                    channel.unary_unary(f"/ray.serve.ASGIService/{way}")(b"", timeout=20)
                assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]


def test_errors_of_the_cluster_are_errors_here(engine: Engine) -> None:
    compute: Any = engine.compute
    with pytest.raises(UnknownNameError, match="no model is called 'gpt-9'"):
        compute.ask("/run", {"model": "gpt-9", "ids": [1], "layers": None})
    with pytest.raises(InputError, match="reads one or more ids"):
        compute.ask("/run", {"model": "mla-rope", "ids": [-1], "layers": None})
    with pytest.raises(InputError, match="a question names"):
        compute.ask("/run", {})


def test_replicas_killed_under_load_cost_a_retry_and_no_answer_is_wrong(
    engine: Engine, cluster: SimpleNamespace
) -> None:
    model = engine.model("mla-rope")
    assert isinstance(model, Model)
    texts = [f"Once upon a time there was {'a very ' * (i % 5)}small number {i}" for i in range(60)]
    killed, some = [], threading.Event()
    done: list[int] = []

    def ask(i: int) -> Any:
        result = engine.run("mla-rope", texts[i], [3])
        done.append(i)
        if len(done) >= 10:
            some.set()
        return result

    with ThreadPoolExecutor(6) as visitors:
        answers = [visitors.submit(ask, i) for i in range(60)]
        assert some.wait(60)
        for replica in cluster.replicas()[:1]:
            replica.kill()
            killed.append(replica.pid)
        in_flight = 60 - len(done)
        found = [answer.result(120) for answer in answers]
    assert killed and in_flight > 0, "a replica died while questions were on their way"
    for text, result in zip(texts, found, strict=True):
        assert_same(run(model, text, [3]), result, 1e-5)  # in a batch: another order of additions in float32


def test_a_text_is_continued_although_every_replica_dies_on_the_way(engine: Engine, cluster: SimpleNamespace) -> None:
    there = engine.continuation("mla-rope", TEXT, temperature=0.9, seed=5, watch=True)
    here = Continuation(engine.model("mla-rope"), TEXT, temperature=0.9, seed=5, watch=True)
    for number in range(6):
        if number == 3:
            for replica in cluster.replicas():
                replica.kill()
        engine.advance(there)
        here.advance()
    assert [s.id for s in there.steps] == [s.id for s in here.steps]
    assert [s.cache_nbytes for s in there.steps] == [s.cache_nbytes for s in here.steps]
    assert there.decoder.length == here.decoder.length
    for one, other in zip(there.steps, here.steps, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-6)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one.weights, other.weights, strict=True))
