"""An actor that does what its messages tell it, and a router that writes down what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from actors import Actor, ActorId, Kind, Ref, Request, Router, Transport
from actors.simulation import SimulationLoop

Act = Callable[["Player"], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Do(Request[Any]):
    """The player runs `act` and answers what it returns."""

    act: Act


@dataclass(frozen=True, slots=True)
class Say(Request[str]):
    """The player writes the text down and answers it; "boom" makes it fail."""

    text: str


@dataclass
class Script:
    """What the players of one stage do besides their messages, and what they did."""

    log: list[str] = field(default_factory=list)
    activate: Act | None = None
    passivate: Act | None = None
    may_passivate: bool = True
    crashes: list[tuple[ActorId, str]] = field(default_factory=list)

    def said(self) -> list[str]:
        return [line for line in self.log if not line.startswith("(")]

    def on_crash(self, id: ActorId, error: BaseException) -> None:
        self.crashes.append((id, type(error).__name__))


async def elapse(seconds: float) -> None:
    """Let virtual time pass, and everything happen that is due meanwhile."""
    assert isinstance(asyncio.get_running_loop(), SimulationLoop)
    await asyncio.sleep(seconds)


class Player(Actor[Any]):
    mailbox_limit = 8
    idle_timeout_s = 60.0

    def __init__(self, key: str, script: Script) -> None:
        self.key = key
        self.script = script

    async def on_activate(self) -> None:
        self.script.log.append("(activated)")
        if self.script.activate is not None:
            await self.script.activate(self)

    async def receive(self, message: Any) -> object:
        if isinstance(message, Do):
            return await message.act(self)
        text = message.text if isinstance(message, Say) else message
        if text == "boom":
            raise ValueError("boom")
        self.script.log.append(text)
        return text

    async def on_passivate(self) -> None:
        if self.script.passivate is not None:
            await self.script.passivate(self)
        self.script.log.append("(passivated)")

    def may_passivate(self) -> bool:
        return self.script.may_passivate


class BatchPlayer(Player):
    batch_limit = 4

    async def receive_batch(self, letters: Any) -> None:
        self.script.log.append(f"(batch of {len(letters)})")
        await super().receive_batch(letters)


def open_stage(
    script: Script,
    player: type[Player] = Player,
    transport: Transport | None = None,
    **overrides: Any,
) -> Router:
    """A router with the kind `player`; `overrides` are those of `Kind`."""
    kind = Kind("player", lambda key: player(key, script), **overrides)
    return Router([kind], random=Random(1), transport=transport, on_crash=script.on_crash)


def do(act: Act) -> Do:
    return Do(act)


class Gate:
    """Holds a player until it is opened: `entered` is set once it waits there."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, player: Player) -> str:
        self.entered.set()
        await self.opened.wait()
        return "through"


async def blocked(ref: Ref[Any]) -> Gate:
    """Make the actor wait in `receive` and return what lets it go on."""
    gate = Gate()
    assert ref.tell(Do(gate))
    await gate.entered.wait()
    return gate


class Failing:
    """Fails so many times, then works."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def __call__(self, player: Player) -> str:
        if self.times > 0:
            self.times -= 1
            raise OSError("not yet")
        player.script.log.append("worked")
        return "worked"


async def stop(player: Player) -> None:
    player.context.stop()
