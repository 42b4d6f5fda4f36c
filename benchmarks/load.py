"""Many visitors at once: from an edit of the sentence to the received picture, over real websockets, on one machine.

`python -m benchmarks.load` starts the app on the loopback and has visitors edit the sentence of Explore (MiniLM), each every
few seconds, every sentence a new one. `--climb` goes on with more and more visitors until something breaks. All visitors are
one asyncio process; its share of a core is told, since a slow client would look like a slow server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import linear_regression, quantiles

import psutil

from benchmarks.visitor import Visitor
from tests.browser import server

# Each is one token for MiniLM, so that a picture can be told to be that of its sentence.
WORDS = (  # noqa: SIM905
    "animal street tired river house garden winter music letter window doctor yellow bridge simple morning question forest "
    "travel silver market picture summer kitchen mountain paper island castle station dinner brother science history engine "
    "village church corner captain evening horse silence machine student teacher weather candle number country language "
    "hospital library office planet shadow spring stone table valley writer danger flower"
).split()
PATIENCE = 30.0  # seconds after which an edit counts as lost
MIB = 2**20


@dataclass
class Measured:
    """What one load did. seconds: from edit to picture, of each edit; errors: by kind; rss: (seconds, MiB) of the server.

    took: seconds until the last edit was answered; server_cpu, client_cpu: cores in use; received, sent: bytes on the
    websockets; slope: MiB a minute, from `settled` on.
    """

    visitors: int
    every: float
    duration: float
    seconds: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    rss: list[tuple[float, float]] = field(default_factory=list)
    took: float = 0.0
    server_cpu: float = 0.0
    client_cpu: float = 0.0
    received: int = 0
    sent: int = 0

    @property
    def settled(self) -> float:
        """The first minute, or half of a shorter run."""
        return min(60.0, self.duration / 2)

    @property
    def slope(self) -> float:
        """MiB a minute, least squares."""
        late = [(at / 60, mib) for at, mib in self.rss if at >= self.settled]
        return linear_regression(*zip(*late, strict=True)).slope if len(late) > 2 else float("nan")

    def percentile(self, percent: int, of: Sequence[float]) -> float:
        """Milliseconds below which `percent` of the edits were."""
        return 1000 * quantiles(of, n=100, method="inclusive")[percent - 1] if len(of) > 1 else float("nan")


async def visit(
    address: str, number: int, opened: asyncio.Barrier, out: Measured, end: asyncio.Future[float], stagger: float
) -> None:
    """One visitor: opens the page, waits for the others, and edits until the end."""
    words = random.Random(number * 7919 + 1)
    try:
        async with Visitor(address) as visitor:
            await asyncio.sleep(stagger * number)  # as visitors come: one after the other
            await visitor.open(PATIENCE * 4)
            await opened.wait()
            await _edits(visitor, words, number, out, await end)
            out.received += visitor.received
            out.sent += visitor.sent
    except Exception as error:
        out.errors[f"visitor: {type(error).__name__} {error}"[:120]] += 1
        if not end.done():
            await opened.abort()


async def _edits(visitor: Visitor, words: random.Random, number: int, out: Measured, end: float) -> None:
    due = time.perf_counter() + out.every * (number + words.random()) / out.visitors
    visitor.received = visitor.sent = 0
    while due < end:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        sentence = words.sample(WORDS, words.randint(7, 14))
        try:
            answer = await visitor.edit("The " + " ".join(sentence) + ".", PATIENCE)
        except Exception as error:
            out.errors[f"edit: {type(error).__name__} {error}"[:120]] += 1
            if not isinstance(error, TimeoutError):
                raise
        else:
            _count(answer.picture, answer.payload, answer.alerts, sentence, out)
            if answer.picture is not None and answer.finished is not None:
                # From when it was due: an edit that waits for the one before has waited, too.
                out.seconds.append(answer.picture - due)
                out.finished.append(answer.finished - due)
        due += out.every


def _count(picture: float | None, payload: bytes, alerts: list[str], sentence: list[str], out: Measured) -> None:
    if picture is None:
        out.errors["no picture"] += 1
    elif not all(f'"{word}"'.encode() in payload.replace(b"\\", b"") for word in sentence):
        out.errors["a picture of another sentence"] += 1
    if alerts:
        out.errors[f"page: {alerts[0]}"[:120]] += 1


async def watch(process: psutil.Process, begin: float, out: Measured) -> None:
    """The server's resident memory once a second."""
    while True:
        family = [process, *process.children(recursive=True)]
        out.rss.append((time.perf_counter() - begin, sum(p.memory_info().rss for p in family) / MIB))
        await asyncio.sleep(1)


async def load(address: str, process: psutil.Process, visitors: int, every: float, seconds: float) -> Measured:
    """All visitors for so many seconds, counted from when all have the page open."""
    out = Measured(visitors, every, seconds)
    end: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    opened = asyncio.Barrier(visitors + 1)
    stagger = min(0.1, 20 / visitors)
    tasks = [asyncio.create_task(visit(address, n, opened, out, end, stagger)) for n in range(visitors)]
    await opened.wait()
    begin, me = time.perf_counter(), psutil.Process()
    before = _cpu(process), _cpu(me)
    end.set_result(begin + seconds)
    watching = asyncio.create_task(watch(process, begin, out))
    await asyncio.gather(*tasks)
    out.took = took = time.perf_counter() - begin
    watching.cancel()
    out.server_cpu, out.client_cpu = (_cpu(process) - before[0]) / took, (_cpu(me) - before[1]) / took
    return out


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def row(m: Measured) -> str:
    """One line of the table."""
    p50, p95, p99 = (m.percentile(p, m.seconds) for p in (50, 95, 99))
    edits = max(len(m.seconds), 1)
    return (
        f"| {m.visitors} every {m.every:g} s | {len(m.seconds):,} | {sum(m.errors.values())} | {p50:,.0f} | {p95:,.0f} | "
        f"{p99:,.0f} | {m.percentile(95, m.finished):,.0f} | {max((r for _, r in m.rss), default=0):,.0f} | {m.slope:+.1f} | "
        f"{m.server_cpu:.2f} | {1000 * m.server_cpu * m.took / edits:,.0f} | {m.client_cpu:.2f} | "
        f"{m.received / edits / 1000:,.0f} |"
    )


HEAD = (
    "| visitors | edits | errors | p50 ms | p95 ms | p99 ms | page done, p95 ms | RSS MiB | MiB a minute | server's cores | "
    "CPU ms an edit | client's cores | kB an edit |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def report(m: Measured) -> None:
    """The line, and each kind of error with its number."""
    print(row(m), flush=True)
    for words, count in m.errors.most_common():
        print(f"  {count} × {words}", flush=True)


async def climb(address: str, process: psutil.Process, options: argparse.Namespace) -> list[Measured]:
    """More and more visitors, until an edit fails or the 95th percentile is beyond the limit."""
    found: list[Measured] = []
    for visitors in options.climb:
        m = await load(address, process, visitors, options.every, options.seconds)
        report(m)
        found.append(m)
        if m.errors or not m.percentile(95, m.seconds) <= options.limit:
            print(f"{visitors} visitors are too many: {_why(m, options.limit)}")
            break
    return found


def _why(m: Measured, limit: float) -> str:
    if m.errors:
        return m.errors.most_common(1)[0][0]
    bound = " (all of its one interpreter: the lock is what breaks first)" if m.server_cpu > 0.9 else ""
    return f"p95 is beyond {limit:g} ms; the server uses {m.server_cpu:.2f} cores{bound}"


async def measure(address: str, options: argparse.Namespace) -> list[Measured]:
    """What the command line asks for."""
    process = psutil.Process().children()[0]
    async with Visitor(address) as first:  # the model is loaded by the first one who comes
        await first.open(300)
    print(HEAD)
    if options.climb:
        return await climb(address, process, options)
    m = await load(address, process, options.visitors, options.every, options.seconds)
    report(m)
    return [m]


def main() -> int:
    """0 if no edit went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--every", type=float, default=4.0, metavar="S", help="seconds between a visitor's edits")
    parser.add_argument("--seconds", type=float, default=300.0, metavar="S", help="how long, once all are there")
    parser.add_argument("--climb", type=int, nargs="*", metavar="N", help="numbers of visitors, one after the other")
    parser.add_argument("--limit", type=float, default=1500.0, metavar="MS", help="of --climb: p95 at most")
    parser.add_argument("--json", type=Path, help="all numbers, for a look at them later")
    options = parser.parse_args()
    if options.climb == []:
        options.climb = [200, 250, 300, 400, 500, 700, 1000]
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log") as address:
        found = asyncio.run(measure(address, options))
    print(f"\n{platform.machine()}, {psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f} at the end")
    if options.json:
        options.json.write_text(
            json.dumps([asdict(replace(m, errors=dict(m.errors))) for m in found]), encoding="utf-8"
        )
    return 1 if any(m.errors for m in found) else 0


if __name__ == "__main__":
    sys.exit(main())
