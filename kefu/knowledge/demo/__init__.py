"""The demo shop's entries in three languages; loaded once, into a knowledge that is empty."""

from pathlib import Path
from typing import Final, get_args

import anyio
import msgspec
from msgspec.structs import replace

from kefu.audit.messages import SYSTEM
from kefu.knowledge.entries import Entries, World
from kefu.knowledge.intake import Intake, Row
from protocol.knowledge import Locale, NewEntry

FOLDER: Final = Path(__file__).parent
_read: Final = msgspec.json.Decoder(list[NewEntry]).decode


async def demo_entries() -> list[NewEntry]:
    """All of them, each with its language."""
    entries: list[NewEntry] = []
    locales: tuple[Locale, ...] = get_args(Locale)
    for locale in locales:
        text = await anyio.Path(FOLDER / f"{locale}.json").read_bytes()
        entries += [replace(entry, locale=locale) for entry in _read(text)]
    return entries


async def load_demo(world: World) -> int:
    """How many were written: none when there is any entry already. Raises StoreUnavailable."""
    entries = Entries(world)
    if (await entries.page(words=None, locale=None, offset=0, limit=1)).total:
        return 0
    rows = tuple(Row(line, entry) for line, entry in enumerate(await demo_entries(), start=1))
    return (await entries.take_in(SYSTEM, Intake(rows, ()), is_dry=False)).created
