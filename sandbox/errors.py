"""Refusals that the sandbox's parts hand to each other."""

from __future__ import annotations


class TokenRefused(Exception):
    """A bearer token that Entra would not have issued, or no longer honours; the reason is for the reply."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class GraphRefusal(Exception):
    """A request that Graph answers with an error body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class WorldError(Exception):
    """A world file with mistakes: every one, as `path: what was expected there`."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes
