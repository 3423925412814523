"""What Prometheus reads at /metrics: requests, pictures, batches, waiting.

Owns the names and labels of all metrics. Refuses labels that a client could choose: routes and statuses are
ours, so their number is bounded.
"""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second sample for each, that nobody asked for
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """One server's metrics, in a registry of their own."""

    def __init__(self, model: str, version: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        info = Gauge("detector_model", "The model served.", ["name", "version"], registry=self._registry)
        info.labels(model, version).set(1)
        self._requests = Counter(
            "detector_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "detector_request_seconds",
            "From a request's headers to its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._pictures = Counter(
            "detector_pictures",
            "Pictures by what became of them: scored, or an error class.",
            ["outcome"],
            registry=self._registry,
        )
        self._sizes = Histogram(
            "detector_batch_size", "Pictures in a batch.", buckets=_SIZES, registry=self._registry
        )
        self._model_seconds = Histogram(
            "detector_batch_seconds", "Model time of a batch.", buckets=_SECONDS, registry=self._registry
        )

    def watch(self, name: str, explanation: str, read: Callable[[], float]) -> None:
        """Add a gauge whose value is read whenever it is asked for."""
        Gauge(name, explanation, registry=self._registry).set_function(read)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_picture(self, outcome: str) -> None:
        """Count a picture: ``scored``, or the class of its error."""
        self._pictures.labels(outcome).inc()

    def count_batch(self, size: int, seconds: float) -> None:
        """Count a batch and the time that the model took."""
        self._sizes.observe(size)
        self._model_seconds.observe(seconds)

    def render(self) -> bytes:
        """Write them in Prometheus' text format."""
        return generate_latest(self._registry)
