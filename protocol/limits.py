"""The sizes every input is held to. The decoders refuse what is larger: no other code checks."""

from typing import Annotated, Final

from msgspec import Meta

FRAME_BYTES: Final = 64 * 1024
CONTENT_CHARS: Final = 4000
INVALID_FRAMES_BEFORE_CLOSE: Final = 100
INVALID_FRAMES_WINDOW_S: Final = 10.0
REPLAY_MESSAGES: Final = 300
RESYNC_MESSAGES: Final = 50

# PostgreSQL text holds every character but NUL; saying so here makes it the sender's typed error.
NO_NUL: Final = r"^[^\x00]*$"

FrameId = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
FeedId = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
ClientMessageId = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
Content = Annotated[str, Meta(min_length=1, max_length=CONTENT_CHARS, pattern=NO_NUL)]
Topic = Annotated[str, Meta(max_length=200, pattern=NO_NUL)]
Reason = Annotated[str, Meta(max_length=500, pattern=NO_NUL)]
Feedback = Annotated[str, Meta(max_length=2000, pattern=NO_NUL)]
Rating = Annotated[int, Meta(ge=1, le=5)]
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
