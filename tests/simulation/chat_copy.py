"""What one client has of one chat, and whether what comes fits: nothing twice, skipped or early.

Two fronts move: `live` follows the connection from the first status on, `replayed` fills what lies
before it. Where they meet the copy is whole up to `have`.
"""

from uuid import UUID

from protocol.limits import RESYNC_MESSAGES
from protocol.server import ChatState


class OutOfTurn(Exception):
    """The server broke the promise; the text says how."""


class ChatCopy:
    """`may_lag`: with several instances the first status of a connection may be one that was under
    way already, older than what another connection was shown. What follows it comes again."""

    def __init__(self, chat_id: UUID, *, may_lag: bool = False) -> None:
        self.chat_id = chat_id
        self.may_lag = may_lag
        self.state: ChatState | None = None
        self.have = 0
        self.message_ids: dict[int, UUID] = {}
        self.is_followed = False
        """On the present connection."""
        self.is_asked = False
        """A resume is on its way or being answered."""
        self.must_ask_again = False
        """More became missing while a resume was under way."""
        self._live = 0
        self._floor: int | None = None
        self._replayed = 0
        self._promised = 0

    @property
    def status(self) -> str:
        return self.state.status if self.state is not None else "unknown"

    @property
    def is_whole(self) -> bool:
        """Up to what this connection was told there is."""
        return self._floor is None

    def connected_anew(self) -> None:
        self.is_followed = self.is_asked = self.must_ask_again = False
        self._floor = None

    def take_status(self, state: ChatState, *, follows: bool) -> bool:
        """True when older messages must be asked for."""
        if state.resync:
            self._replayed = max(0, state.last_seq - RESYNC_MESSAGES)
            return False
        must_ask = False
        if self.is_followed:
            if state.last_seq > self._live:
                raise OutOfTurn(f"a status at {state.last_seq}, messages only up to {self._live}")
        elif state.last_seq < self.have and not self.may_lag:
            raise OutOfTurn(f"the chat has {state.last_seq} messages, {self.have} were seen")
        elif follows:
            self.is_followed = True
            self._live = state.last_seq
            if self.have < state.last_seq:
                self._floor = state.last_seq
                must_ask = True
            self._settle()
        if not follows:
            self.is_followed = False
        self.state = state
        return must_ask

    def ask(self) -> int:
        """The point to resume from."""
        self.is_asked, self.must_ask_again = True, False
        self._replayed = self._promised = self.have
        return self.have

    def take_answer(self, state: ChatState) -> None:
        """How far a resume will go; it begins nothing that was not followed already."""
        if state.resync:
            self._replayed = max(0, state.last_seq - RESYNC_MESSAGES)
        if self.is_followed and state.last_seq > self._live:
            raise OutOfTurn(f"a resume up to {state.last_seq}, messages only up to {self._live}")
        self._promised = state.last_seq

    def answered(self) -> None:
        """The resume is done, and so everything it was to bring must be here."""
        self.is_asked = False
        if max(self._replayed, self.have) < self._promised:
            raise OutOfTurn(f"resumed up to {self._replayed}, said was {self._promised}")
        if self.is_followed and self._floor is not None and not self.must_ask_again:
            raise OutOfTurn(f"resumed up to {self._replayed}, promised was {self._floor}")

    def take_message(self, seq: int, message_id: UUID) -> None:
        self._remember(seq, message_id)
        if self.is_followed and seq == self._live + 1:
            self._live = seq
        elif self.is_asked and seq == self._replayed + 1 and self._is_below_floor(seq):
            self._replayed = seq
        else:
            raise OutOfTurn(
                f"seq {seq} came; live at {self._live}, replayed to {self._replayed}, "
                f"floor {self._floor}, followed {self.is_followed}, asked {self.is_asked}"
            )
        self._settle()

    def take_receipt(self, seq: int, message_id: UUID) -> None:
        """Of an own message; it stands for the message itself, where that is new."""
        self._remember(seq, message_id)
        if not self.is_followed or seq <= self._live:
            return
        if seq != self._live + 1:
            raise OutOfTurn(f"a receipt for seq {seq}, messages only up to {self._live}")
        self._live = seq
        self._settle()

    def _is_below_floor(self, seq: int) -> bool:
        """Once the server follows no longer it sends all it has: how far was never said."""
        until = self._live if self._floor is None else self._floor
        return not self.is_followed or seq <= until

    def _settle(self) -> None:
        if self._floor is not None and self._replayed >= self._floor:
            self._floor = None
        if self.is_followed and self._floor is None:
            self.have = max(self.have, self._live)
        elif self.is_asked:
            self.have = max(self.have, self._replayed)

    def _remember(self, seq: int, message_id: UUID) -> None:
        known = self.message_ids.setdefault(seq, message_id)
        if known != message_id:
            raise OutOfTurn(f"seq {seq} was {known} before and is {message_id} now")
