"""Appends every exchange to a JSONL file, a line each, and keeps them for whoever asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Recorder:
    """Callable with one exchange; the file is emptied at the start and each line is flushed at once."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("w", encoding="utf-8", buffering=1)

    def __call__(self, exchange: dict[str, Any]) -> None:
        self._file.write(json.dumps(exchange, ensure_ascii=False) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """What was recorded so far."""
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    def close(self) -> None:
        self._file.close()
