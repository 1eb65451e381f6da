"""Every test here runs on the simulated loop: virtual time, four orders of what is ready."""

from typing import Any

import pytest

from actors.simulation import SimulationLoop


@pytest.fixture(params=[None, 1, 2, 3], ids=lambda seed: f"seed-{seed}")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    seed = request.param
    return "asyncio", {"loop_factory": lambda: SimulationLoop(seed)}
