"""The command `verify-evidence`: files, or the whole ledger, held against the signed checkpoints."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jml.console import table
from jml.evidence import anchor_in, problems
from jml.state import Runs, RunState
from shared.adapters.signing import FileSigner, PublicKeys, VaultSigner
from shared.audit import Findings, audit, kept_out, read_chain
from shared.checkpoints import Chain, NoCheckpoint, Signed, disagreement, head_of
from shared.clock import SystemClock
from shared.errors import InvalidConfiguration
from shared.ledger import faults
from shared.ports import Blobs, TableStore, Verifier

DEPLOYMENT = "deployment"


@dataclass(frozen=True)
class Request:
    """What is asked. `checkpoints`: a folder, or `deployment` for its container."""

    files: tuple[Path, ...]
    all: bool = False
    checkpoints: str | None = None
    keys: tuple[Path, ...] = ()
    complete: bool = False

    def __post_init__(self) -> None:
        """Raises InvalidConfiguration naming what does not go together."""
        wrong = []
        if self.all == bool(self.files):
            wrong.append("either files of evidence or --all was expected")
        if self.complete and (self.all or not self.checkpoints):
            wrong.append("--complete: needs files and --checkpoints")
        if wrong:
            raise InvalidConfiguration("verify-evidence", wrong)

    @property
    def needs_deployment(self) -> bool:
        """Without a key the deployment's own is asked for."""
        by_deployment = self.checkpoints is not None and (self.checkpoints == DEPLOYMENT or not self.keys)
        return self.all or by_deployment


class Downloaded:
    """Checkpoints as they were downloaded."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InvalidConfiguration("verify-evidence", [f"--checkpoints {path}: a folder was expected"])
        self._path = path

    async def get(self, name: str) -> bytes | None:
        return (self._path / name).read_bytes()

    async def names(self) -> AsyncIterator[str]:
        for path in sorted(self._path.glob("*.json")):
            yield path.name


async def verify(
    request: Request,
    store: TableStore | None = None,
    container: Blobs | None = None,
    signer: FileSigner | VaultSigner | None = None,
) -> int:
    """The exit code: 0 all is as it was written, 1 something is not. The last three are the deployment's, if needed."""
    keys = _keys(request, signer)
    chain: Chain | None = None
    if keys is not None and (request.all or request.checkpoints):
        kept: Blobs | None = (
            container if request.checkpoints in (None, DEPLOYMENT) else Downloaded(Path(str(request.checkpoints)))
        )
        chain = await read_chain(kept, keys, _tell) if kept is not None else None
    now = SystemClock().now()
    if request.all and store is not None and chain is not None:
        return await _everything(store, chain, now)
    return await _files(request, chain, keys, now)


def _keys(request: Request, signer: FileSigner | VaultSigner | None) -> Verifier | None:
    if not request.keys:
        return signer
    try:
        return PublicKeys.from_files(request.keys)
    except ValueError as error:
        raise InvalidConfiguration("verify-evidence", [f"--key: {error}"]) from error


async def _everything(store: TableStore, chain: Chain, now: datetime) -> int:
    found = await audit(store, chain, now, _tell)
    for run in found.open:
        record = await Runs(store).get(run)
        if record is not None and record.state is RunState.CLOSED:
            found.wrong.append((f"ledger {run}", "has no closing row, but its run is closed: its tail was cut"))
    _report(found.wrong)
    print(_sums(found, chain))
    return 1 if found.wrong else 0


async def _files(request: Request, chain: Chain | None, keys: Verifier | None, now: datetime) -> int:
    if chain is not None:
        _report(chain.faults)
    bad, shown = bool(chain and chain.faults), set[str]()
    for path in request.files:
        document = _load(path)
        found = _broken(document)
        if not found:
            shown.add(document["rows"][0]["run"])
            found = await _unanchored(document, chain, keys, now)
        bad = bad or bool(found)
        if found:
            print(f"{path}: NOT what was written")
            print("\n".join(f"  - {one}" for one in found))
        else:
            rows, anchor = document["rows"], _anchor(document, chain, keys)
            print(f"{path}: {len(rows)} rows, unbroken, {anchor}; outcome {rows[-1]['data'].get('outcome')}")
    missing = _missing(shown, chain) if request.complete and chain else []
    _report(missing)
    return 1 if bad or missing else 0


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(f"evidence {path}", [str(error)]) from error


def _broken(document: object) -> list[str]:
    """What is wrong with a document in itself: evidence of a run, or whatever else carries a ledger as its `rows`."""
    if isinstance(document, dict) and "run" in document:
        return problems(document)
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return ["evidence, or a document with the rows of a ledger, was expected"]
    return faults(rows)


async def _unanchored(
    document: Mapping[str, Any], chain: Chain | None, keys: Verifier | None, now: datetime
) -> list[str]:
    """What is wrong with the anchor of a document that is whole in itself."""
    found: list[str] = []
    try:
        signed = _carried(document)
    except NoCheckpoint as error:
        return [f"chain: anchor: {error}"]
    if signed is not None and keys is not None:
        one = signed.checkpoint
        if refusal := await keys.refusal(one.key, one.digest, signed.signature):
            found.append(f"checkpoint {one.number}, which it carries, {refusal}")
    if chain is not None:
        found += _against(chain, document, signed, now)
    return found


def _carried(document: Mapping[str, Any]) -> Signed | None:
    """The checkpoint that evidence carries; other documents carry none. Raises NoCheckpoint."""
    return anchor_in(document) if "run" in document else None


def _against(chain: Chain, document: Mapping[str, Any], signed: Signed | None, now: datetime) -> list[str]:
    head = head_of(document["rows"])
    if head is None:
        return []
    if signed is not None and chain.hashes.get(signed.checkpoint.number) != signed.checkpoint.hash:
        return [f"checkpoint {signed.checkpoint.number}, which it carries, is not among the checkpoints"]
    if head.ledger not in chain.heads:
        late = kept_out(chain, str(document["rows"][-1]["at"]), now)
        return [late] if late else []
    problem = disagreement(chain, head)
    return [problem] if problem else []


def _anchor(document: Mapping[str, Any], chain: Chain | None, keys: Verifier | None) -> str:
    """What is shown of the anchor of a good document: no more than was checked."""
    run = document["rows"][0]["run"]
    if chain is not None and run in chain.heads:
        number = chain.heads[run][0]
        return f"anchored by checkpoint {number} of {chain.number}, all signed"
    signed = _carried(document)
    if signed is None:
        return "unanchored"
    signature = "signed" if keys else "its signature NOT checked: say --key"
    return f"anchored by checkpoint {signed.checkpoint.number} ({signature})"


def _missing(shown: set[str], chain: Chain) -> list[tuple[str, str]]:
    return [
        (f"ledger {ledger}", f"is missing: checkpoint {number} holds it with {head.rows} rows")
        for ledger, (number, head) in chain.heads.items()
        if ledger not in shown
    ]


def _report(wrong: list[tuple[str, str]]) -> None:
    if wrong:
        table(("subject", "finding"), wrong)
        print()


def _sums(found: Findings, chain: Chain) -> str:
    state = f"{found.anchored} anchored, {found.unanchored} not yet, {len(found.open)} open"
    last = f"{chain.number} checkpoints, the last of {chain.at}" if chain.number else "no checkpoint"
    return f"{found.ledgers} ledgers with {found.rows} rows: {state}; {last}; {len(found.wrong)} findings"


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
