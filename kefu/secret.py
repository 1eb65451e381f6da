"""Values that must not be shown: their text never reaches a log, a traceback or a terminal."""

from urllib.parse import urlsplit


class Secret:
    """A value that must not be shown: printing it gives `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "***"


class SecretUrl(Secret):
    """An address that may carry a password: printing it leaves out user, password and query."""

    __slots__ = ()

    def __repr__(self) -> str:
        try:
            parts = urlsplit(self._value)
            place = parts.hostname or ""
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            return "***"
        return f"{parts.scheme}://{place}{port}{parts.path}"


class SecretHook(SecretUrl):
    """An address that is a secret itself, in its path or its query: printing it gives the host."""

    __slots__ = ()

    def __repr__(self) -> str:
        try:
            parts = urlsplit(self._value)
        except ValueError:
            return "***"
        return f"{parts.scheme}://{parts.hostname}/***" if parts.hostname else "***"
