"""`python -m jml`: what an operator does from a shell. Exit codes: 0 good, 1 something is wrong, 2 cannot be run."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jml.console import table
from jml.permissions import markdown
from jml.policy import Policy
from shared.errors import Denied, InvalidConfiguration, Refused, Transient

if TYPE_CHECKING:
    from jml.services import Services
    from shared.adapters.cloud import Cloud

Work = Callable[["Services", "Cloud"], Awaitable[int]]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except InvalidConfiguration as error:
        print(error, file=sys.stderr)
        return 2
    except (Denied, Refused, Transient) as error:
        print(f"jml: {error}", file=sys.stderr)
        return 2
    except FileNotFoundError as error:  # an SDK's, of a certificate: it does not always say which
        named = error.filename or "a file that the settings name, such as SSL_CERT_FILE,"
        print(f"jml: {named} is not there", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jml", description="Operate the lifecycle of MSSP accounts.")
    parser.add_argument("--env", type=Path, help="a file of NAME=value lines to take the settings from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    link = commands.add_parser("link", help="which account belongs to whom").add_subparsers(required=True)
    adopt = link.add_parser("import", help="adopt accounts from a CSV or JSON file of person and account")
    adopt.add_argument("file", type=Path)
    adopt.add_argument("--apply", action="store_true", help="act; without it the plan is shown")
    adopt.set_defaults(run=lambda options: _connected(options, lambda s, _: _import(s, options)))
    listing = link.add_parser("list", help="show all links")
    listing.set_defaults(run=lambda options: _connected(options, lambda s, _: _list(s)))

    doctor = commands.add_parser("doctor", help="what is missing before this can work")
    doctor.set_defaults(run=lambda options: _connected(options, _doctor))

    verify = commands.add_parser("verify-evidence", help="check files, or the whole ledger (docs/proof.md)")
    verify.add_argument("file", type=Path, nargs="*", help="evidence of a run, or a document with a ledger's rows")
    verify.add_argument("--all", action="store_true", help="every ledger of the deployment instead of files")
    verify.add_argument("--checkpoints", metavar="FOLDER", help="downloaded ones; `deployment`: those in its container")
    verify.add_argument("--key", type=Path, action="append", help="a trusted public key: PEM or JWK; may be repeated")
    verify.add_argument("--complete", action="store_true", help="of every ledger there has to be a file: decisions too")
    verify.set_defaults(run=_verify)

    ledger = commands.add_parser("ledger", help="print a ledger as a file for verify-evidence: of a decision, say")
    ledger.add_argument("id")
    ledger.set_defaults(run=lambda options: _connected(options, lambda s, _: _ledger(s, options.id)))

    permissions = commands.add_parser("permissions", help="print what has to be granted where, as Markdown")
    permissions.set_defaults(run=_permissions)

    outcomes = commands.add_parser("outcomes", help="print what happens next after each answer, as Markdown")
    outcomes.set_defaults(run=_outcomes)

    schema = commands.add_parser("policy-schema", help="print the JSON Schema of the policy file")
    schema.set_defaults(run=_schema)
    return parser


def _settings(options: argparse.Namespace) -> Mapping[str, str]:
    """The environment, over which the lines of `--env` go; SDKs read the process's own, so it is set there."""
    if options.env is not None:
        try:
            lines = options.env.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise InvalidConfiguration(f"settings {options.env}", [str(error)]) from error
        pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
        os.environ.update({name.strip(): value.strip() for name, _, value in pairs})
    return os.environ


def _connected(options: argparse.Namespace, work: Work) -> int:
    environment = _settings(options)  # before the SDKs are imported: some look at the environment then
    from jml.wiring import configuration, connect

    settings, policy = configuration(environment)

    async def run() -> int:
        services, cloud = connect(settings, policy)
        try:
            return await work(services, cloud)
        finally:
            await cloud.close()

    return asyncio.run(run())


async def _import(services: Services, options: argparse.Namespace) -> int:
    from jml.linking import Action, apply_links, plan_links, read_links

    planned = await plan_links(services, read_links(options.file))
    if options.apply:
        planned = await apply_links(services, planned)
    table(("line", "action", "person", "account", "reason"), [one.cells() for one in planned])
    conflicts = sum(one.action is Action.CONFLICT for one in planned)
    to_do = sum(one.action is Action.LINK for one in planned)
    if to_do:
        print(f"\n{to_do} to link: run again with --apply to act.")
    return 1 if conflicts else 0


async def _list(services: Services) -> int:
    from jml.state import People

    links = [link async for link in People(services.store).all() if link.accounts]
    table(("person", "account"), [(link.person, account) for link in links for account in sorted(link.accounts)])
    return 0


async def _doctor(services: Services, cloud: Cloud) -> int:
    from jml.doctor import examine

    checks = await examine(services, cloud.granted)
    marks = {True: "ok", False: "MISSING", None: "note"}
    table(("", "subject", "detail"), [(marks[check.ok], check.subject, check.detail) for check in checks])
    missing = sum(check.ok is False for check in checks)
    print(f"\n{missing} missing." if missing else "\nNothing is missing.")
    return 1 if missing else 0


def _verify(options: argparse.Namespace) -> int:
    from jml.verification import Request, verify

    request = Request(tuple(options.file), options.all, options.checkpoints, tuple(options.key or ()), options.complete)
    if not request.needs_deployment:
        return asyncio.run(verify(request))
    return _connected(options, lambda services, cloud: verify(request, services.store, cloud.checkpoints, cloud.signer))


async def _ledger(services: Services, ledger: str) -> int:
    from shared.ledger import Ledger

    rows = (await Ledger.load(services.store, ledger)).rows
    if not rows:
        raise Refused(f"there is no ledger {ledger}")
    print(json.dumps({"rows": [row.document() for row in rows]}, indent=1))
    return 0


def _schema(_: argparse.Namespace) -> int:
    print(json.dumps(Policy.model_json_schema(), indent=2))
    return 0


def _permissions(_: argparse.Namespace) -> int:
    print(markdown())
    return 0


def _outcomes(_: argparse.Namespace) -> int:
    from jml import outcomes

    print(outcomes.markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
