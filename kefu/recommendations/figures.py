"""What recommendations count, as Prometheus reads it."""

from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kefu.recommendations.messages import Recorded
from protocol.recommendations import Uncounted

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Figures:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.views = Counter(
            "kefu_views", "Views told, by what became of them.", ["outcome"], registry=registry
        )
        for outcome in (*get_args(Recorded), *get_args(Uncounted)):
            self.views.labels(outcome)  # shown from the start, at nought
        self.views_indexed = Counter(
            "kefu_views_indexed", "Views this index did not have yet.", registry=registry
        )
        self.lag = Gauge(
            "kefu_views_lag_seconds",
            "How old the last view was when it came into the index.",
            registry=registry,
        )
        self.log_losses = Counter(
            "kefu_views_log_losses", "Times the log of views was lost sight of.", registry=registry
        )
        self.is_ready = Gauge(
            "kefu_recommendations_ready",
            "1 once all views and products have been read since the start.",
            registry=registry,
        )
        self.products = Gauge(
            "kefu_recommendation_products",
            "Products the index knows to be sellable or not.",
            registry=registry,
        )
        self.pairs = Gauge(
            "kefu_recommendation_views",
            "Viewers with products in the index: a view counts once.",
            registry=registry,
        )
        self.viewers = Gauge(
            "kefu_recommendation_viewers", "Viewers in the index.", registry=registry
        )
        self.seconds = Histogram(
            "kefu_recommendation_seconds",
            "Time of one answer, with asking the catalogue.",
            ["kind"],
            buckets=SECONDS,
            registry=registry,
        )
        for kind in ("similar", "for_viewer"):
            self.seconds.labels(kind)
        self.published = Counter(
            "kefu_recommendations_published",
            "Products whose neighbours were published.",
            registry=registry,
        )
