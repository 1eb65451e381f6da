"""The settings of recommendations: what counts as a view, how alikeness is scored, what is kept."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct


class RecommendationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People who viewed this also viewed."""

    reco_scorer: Annotated[
        Literal["cosine", "shrunk"],
        Meta(
            description="How alike two products are: the cosine of their viewers, or `shrunk`, "
            "which trusts a few viewers in common less than many."
        ),
    ] = "cosine"
    reco_views_per_minute: Annotated[
        int, Meta(ge=1, le=10_000, description="Views of one viewer that count in a minute.")
    ] = 60
    reco_history_limit: Annotated[
        int,
        Meta(
            ge=10,
            le=100_000,
            description="Products of one viewer that count; whoever has viewed more is a robot.",
        ),
    ] = 2_000
    reco_dir: Annotated[
        Path | None,
        Meta(
            description="Where snapshots of all views are kept, for each instance its own; not "
            "set: `recommendations` in the data directory."
        ),
    ] = None
    reco_snapshot_every_s: Annotated[
        int,
        Meta(
            ge=10,
            le=86_400,
            description="Seconds between two snapshots, and so about how long Redis keeps a view "
            "that every instance has on its disk.",
        ),
    ] = 600
