"""Checkpoints: signed documents that say which ledgers were closed with what last hash, one chained to the next.

They are kept where the app can add but neither change nor delete, so that what is done to the ledger later shows.
A checkpoint's hash is the SHA-256 of its canonical text, and its signature (RS256) is made over exactly that. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.clock import from_text
from shared.ledger import GENESIS, Kind, canonical
from shared.ports import KeyName, Verifier

ALGORITHM = "RS256"
UNANCHORED = "unanchored"
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"\d{10}\.json\Z")
_FIELDS = {"number", "at", "previous", "key", "heads"}


class NoCheckpoint(ValueError):
    """What was read is not a checkpoint; the text says why."""


@dataclass(frozen=True)
class Head:
    """A closed ledger: how many rows it has, and the hash of the last, the closing one."""

    ledger: str
    rows: int
    head: str

    def document(self) -> dict[str, Any]:
        return {"ledger": self.ledger, "rows": self.rows, "head": self.head}


@dataclass(frozen=True)
class Checkpoint:
    """`number` counts from 1; `at` is UTC; `previous` is the hash of the checkpoint before it."""

    number: int
    at: str
    previous: str
    key: KeyName
    heads: tuple[Head, ...]

    def document(self) -> dict[str, Any]:
        key = {"id": self.key.id, "thumbprint": self.key.thumbprint, "algorithm": ALGORITHM}
        heads = [head.document() for head in self.heads]
        return {"number": self.number, "at": self.at, "previous": self.previous, "key": key, "heads": heads}

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(canonical(self.document()).encode()).digest()

    @property
    def hash(self) -> str:
        return self.digest.hex()

    @property
    def name(self) -> str:
        return name_of(self.number)


@dataclass(frozen=True)
class Signed:
    """A checkpoint with its signature, as it is kept."""

    checkpoint: Checkpoint
    signature: bytes

    def document(self) -> dict[str, Any]:
        signature = base64.urlsafe_b64encode(self.signature).decode().rstrip("=")
        return {"checkpoint": self.checkpoint.document(), "signature": signature}

    def content(self) -> bytes:
        return json.dumps(self.document(), indent=1).encode()

    def holds(self, head: Head) -> bool:
        return head in self.checkpoint.heads


def name_of(number: int) -> str:
    """Its name in the container: two writers of one number meet on it."""
    return f"{number:010d}.json"


def head_of(rows: Sequence[Mapping[str, Any]]) -> Head | None:
    """The head of a closed ledger, from its rows as documents; None while it is open."""
    if not rows or rows[-1].get("kind") != Kind.CLOSED:
        return None
    return Head(str(rows[-1].get("run")), len(rows), str(rows[-1].get("hash")))


def read(content: bytes | str) -> Signed:
    """A checkpoint from its bytes. Raises NoCheckpoint."""
    try:
        return from_document(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise NoCheckpoint(f"is no JSON: {error}") from error


def from_document(document: object) -> Signed:
    """A checkpoint from its document: every field there and of its kind, and none beside. Raises NoCheckpoint."""
    outer = _mapping(document, {"checkpoint", "signature"}, "the document")
    inner = _mapping(outer["checkpoint"], _FIELDS, "the checkpoint")
    key = _mapping(inner["key"], {"id", "thumbprint", "algorithm"}, "key")
    if key["algorithm"] != ALGORITHM:
        raise NoCheckpoint(f"key: the algorithm {ALGORITHM} was expected")
    if not isinstance(inner["heads"], list):
        raise NoCheckpoint("heads: a list was expected")
    checkpoint = Checkpoint(
        _count(inner["number"], "number"),
        _instant(inner["at"]),
        _hash(inner["previous"], "previous"),
        KeyName(_text(key["id"], "key: id"), _text(key["thumbprint"], "key: thumbprint")),
        tuple(_head(head) for head in inner["heads"]),
    )
    return Signed(checkpoint, _signature(outer["signature"]))


def _mapping(value: object, names: set[str], what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise NoCheckpoint(f"{what}: an object with {', '.join(sorted(names))} was expected")
    return value


def _head(value: object) -> Head:
    head = _mapping(value, {"ledger", "rows", "head"}, "a head")
    return Head(_text(head["ledger"], "a head's ledger"), _count(head["rows"], "rows"), _hash(head["head"], "head"))


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise NoCheckpoint(f"{what}: a text was expected")
    return value


def _count(value: object, what: str) -> int:
    if type(value) is not int or value < 1:
        raise NoCheckpoint(f"{what}: a whole number above 0 was expected")
    return value


def _hash(value: object, what: str) -> str:
    if not isinstance(value, str) or not _HASH.match(value):
        raise NoCheckpoint(f"{what}: a SHA-256 hash was expected")
    return value


def _instant(value: object) -> str:
    text = _text(value, "at")
    try:
        from_text(text)
    except ValueError as error:
        raise NoCheckpoint(f"at: {error}") from error
    return text


def _signature(value: object) -> bytes:
    text = _text(value, "signature")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoCheckpoint("signature: base64url was expected") from error


class Chain:
    """Reads checkpoints in the order of their names; keeps what is wrong with them, and the heads that they vouch for.

    Memory: one entry for each closed ledger.
    """

    def __init__(self, keys: Verifier) -> None:
        self._keys = keys
        self._number = 0
        self._hash = GENESIS
        self.faults: list[tuple[str, str]] = []
        self.heads: dict[str, tuple[int, Head]] = {}
        self.hashes: dict[int, str] = {}
        self.at = ""

    @property
    def number(self) -> int:
        """The number of the last checkpoint."""
        return self._number

    async def take(self, name: str, content: bytes) -> None:
        """The next one, by name."""
        if not _NAME.match(name):
            self._fault(name, "is not the name of a checkpoint")
            return
        number = int(name.removesuffix(".json"))
        subject = f"checkpoint {number}"
        if missing := number - self._number - 1:
            last = f" to {number - 1}" if missing > 1 else ""
            self._fault(f"checkpoint {self._number + 1}{last}", "is missing")
        follows = number == self._number + 1
        self._number = number
        try:
            signed = read(content)
        except NoCheckpoint as error:
            self._fault(subject, f"cannot be read: {error}")
            self._hash = ""
            return
        await self._check(subject, signed, self._hash if follows else "")

    async def _check(self, subject: str, signed: Signed, previous: str) -> None:
        """`previous`: the hash of the one before; empty when that is missing or cannot be read."""
        one = signed.checkpoint
        moved = one.number != self._number
        if moved:
            self._fault(subject, f"carries the number {one.number}: it was moved here")
        if previous and one.previous != previous:
            self._fault(subject, "does not follow the checkpoint before it")
        if self.at and from_text(one.at) < from_text(self.at):
            self._fault(subject, "is older than the checkpoint before it")
        self._hash = "" if moved else one.hash
        if refusal := await self._keys.refusal(one.key, one.digest, signed.signature):
            self._fault(subject, refusal)
            return
        self.at = one.at
        self.hashes[one.number] = one.hash
        for head in one.heads:
            known = self.heads.setdefault(head.ledger, (one.number, head))
            if known[1] != head:
                self._fault(subject, f"names another head of run {head.ledger} than checkpoint {known[0]}")

    def _fault(self, subject: str, problem: str) -> None:
        self.faults.append((subject, problem))


def disagreement(chain: Chain, head: Head) -> str:
    """What is wrong with a closed ledger before these checkpoints; empty when one of them holds its head."""
    if head.ledger not in chain.heads:
        return "is in no checkpoint"
    number, signed = chain.heads[head.ledger]
    if signed == head:
        return ""
    if signed.rows != head.rows:
        return f"has {head.rows} rows: checkpoint {number} says {signed.rows}"
    return f"was written anew: its last hash is not the one that checkpoint {number} holds"
