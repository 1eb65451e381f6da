"""What the server counts, as Prometheus reads it. One registry per server, handed around."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import anyio
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LAG_EVERY_S: Final = 0.5
ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Reading(NamedTuple):
    """One number that is read when somebody looks, not kept up to date all the time.

    A name that ends in `_total` is a counter: it only grows, and restarts with the server.
    """

    name: str
    meaning: str
    labels: dict[str, str]
    value: float


Source = Callable[[], Iterable[Reading]]


class _Live(Collector):
    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for reading in self._source():
            family = families.get(reading.name)
            if family is None:
                kind = CounterMetricFamily if reading.name.endswith("_total") else GaugeMetricFamily
                family = kind(reading.name, reading.meaning, labels=tuple(reading.labels))
                families[reading.name] = family
            family.add_metric(tuple(reading.labels.values()), reading.value)
        return families.values()


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for part in (ProcessCollector, PlatformCollector, GCCollector):
            part(registry=self.registry)
        self.connections = Gauge(
            "kefu_connections", "Open sockets and streams.", ["role"], registry=self.registry
        )
        # counted for every frame, so without the lock of a Counter; read when somebody looks
        self.sent_count = 0
        self.shed_count = 0
        self._received_counts: dict[type[Struct], int] = {}
        self.add_live(self._frames)
        self.errors = Counter(
            "kefu_errors", "Errors told to clients.", ["code"], registry=self.registry
        )
        self.closed = Counter(
            "kefu_connections_closed", "Closed by kefu.", ["code"], registry=self.registry
        )
        self.commit_seconds = Histogram(
            "kefu_commit_seconds", "Time of one commit.", buckets=SECONDS, registry=self.registry
        )
        self.commit_rows = Histogram(
            "kefu_commit_rows", "Rows in one commit.", buckets=ROWS, registry=self.registry
        )
        self.http_seconds = Histogram(
            "kefu_http_seconds",
            "Time of one HTTP request.",
            ["route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )

        self.loop_lag_seconds = Histogram(
            "kefu_event_loop_lag_seconds",
            "How late the event loop woke a sleeper.",
            buckets=SECONDS,
            registry=self.registry,
        )

    def note_received(self, kind: type[Struct]) -> None:
        self._received_counts[kind] = self._received_counts.get(kind, 0) + 1

    def _frames(self) -> Iterable[Reading]:
        yield Reading("kefu_frames_sent_total", "Frames to clients.", {}, self.sent_count)
        yield Reading("kefu_frames_shed_total", "Frames spared slow clients.", {}, self.shed_count)
        for kind, count in self._received_counts.items():
            labels = {"type": str(kind.__struct_config__.tag)}
            yield Reading("kefu_frames_received_total", "Frames from clients.", labels, count)

    def note_commit(self, rows: int, seconds: float) -> None:
        self.commit_rows.observe(rows)
        self.commit_seconds.observe(seconds)

    async def measure_lag(self) -> None:
        """For ever: how much later than asked a short sleep ends says how busy the loop is."""
        while True:
            due = anyio.current_time() + LAG_EVERY_S
            await anyio.sleep(LAG_EVERY_S)
            self.loop_lag_seconds.observe(max(0.0, anyio.current_time() - due))

    def add_live(self, source: Source) -> None:
        """Ask `source` at every look."""
        self.registry.register(_Live(source))

    def text(self) -> bytes:
        return generate_latest(self.registry)
