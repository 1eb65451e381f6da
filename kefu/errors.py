"""The two failures that are meant to be read by a person.

Neither is a bug: a `Problem` answers one request or frame, a `KefuError` ends a command with
one line. Whatever else is raised is a bug, logged with its trace and answered INTERNAL.
Rules refuse with values (`Refusal`), never with these.
"""

from collections.abc import Mapping

from protocol.codes import ERRORS, ErrorCode


class KefuError(Exception):
    """The program cannot go on; its text is one sentence that says what to do."""


class Problem(Exception):
    """A request or a frame cannot be answered as asked.

    `message` replaces the code's own sentence, `retry_after_s` says when to come back,
    `fields` maps the name of each wrong field to what is wrong with it.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str | None = None,
        retry_after_s: float | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.message = ERRORS[code].sentence if message is None else message
        self.retry_after_s = retry_after_s
        self.fields: Mapping[str, str] = fields or {}
        super().__init__(f"{code}: {self.message}")

    @property
    def status(self) -> int:
        """The HTTP status that carries this code."""
        return ERRORS[self.code].http_status
