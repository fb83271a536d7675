"""What the demo shows: tables before and after, and a timeline of what the ledger says, as it says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sandbox.demo.check import HELD_BY_PRINCIPAL, groups, held, methods, packages

STYLES = {
    "verified": "green",
    "sent": "cyan",
    "waiting": "yellow",
    "refused": "red",
    "blocked": "red",
    "protected": "magenta",
    "left": "yellow",
}
LABELS = {
    "roleAssignments": "Entra roles",
    "roleEligibilitySchedules": "eligible Entra roles",
    "groupEligibilitySchedules": "PIM for groups: eligible",
    "groupAssignmentSchedules": "PIM for groups: active",
    "appRoleAssignments": "app roles",
    "oauth2PermissionGrants": "delegated grants",
}


class View:
    """The console of the demo. `names`: object id → a name for the reader; the app itself keeps ids alone."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.names: dict[str, str] = {}
        self._shown = 0

    def say(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/bold]")

    def learn(self, tenants: Mapping[str, Any]) -> None:
        """Names for the ids of all that the demo may mention."""
        for tenant in tenants.values():
            self.names[tenant["id"]] = "customer tenant"
            for kind in ("users", "groups", "devices", "roleDefinitions"):
                self.names |= {item["id"]: item.get("displayName") or item["id"] for item in tenant.get(kind, ())}

    def account(self, title: str, state: Mapping[str, Any], account: str) -> None:
        """One account of the MSSP tenant: whether it can sign in, and what it has."""
        user = next(user for user in state["users"] if user["id"] == account)
        table = Table(title=title, title_justify="left", show_header=False)
        enabled = "[red]can sign in[/red]" if user.get("accountEnabled") else "[green]disabled[/green]"
        table.add_row("sign-in", enabled)
        table.add_row("groups", ", ".join(str(group["displayName"]) for group in groups(state, account)) or "none")
        for kind in HELD_BY_PRINCIPAL:
            if kind in LABELS:
                table.add_row(LABELS[kind], str(len(held(state, kind, account))))
        table.add_row("access packages", str(len(packages(state, account))))
        table.add_row("authentication methods", str(len(methods(state, account))))
        self.console.print(table)

    def timeline(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The ledger's rows that were not shown before: plans as a count, everything else one line each."""
        fresh = rows[self._shown :]
        self._shown = len(rows)
        for (kind, at), group in groupby(fresh, key=lambda row: (row["kind"], str(row["at"])[11:23])):
            if kind == "planned":
                steps = Counter(row["step"].partition(":")[0] for row in group)
                listed = ", ".join(f"{count} {step}" for step, count in steps.items())
                self._print(at, "dim", f"{kind} {steps.total()}", listed)
            else:
                for row in group:
                    self._line(row, at)

    def _line(self, row: Mapping[str, Any], at: str) -> None:
        data, kind, step = row["data"], row["kind"], self._step(row["step"])
        match kind:
            case "opened":
                self._print(at, "bold", "run opened", f"{data['cause']} {data['written'] or data['effective']}")
            case "attempted":
                self._print(at, STYLES[data["result"]], data["result"], f"{step} {data.get('reason', '')}")
            case "verified":
                self._print(at, STYLES["verified"], "verified", step)
            case "left" | "protected":
                self._print(at, STYLES[kind], "stays", f"{step}: {data['reason']}")
            case "waiting":
                self._print(at, STYLES["waiting"], "waits", f"until {data['until'][11:19]}: {data['reason']}")
            case "resumed":
                self._print(at, "bold", "run resumed", "")
            case "closed":
                self._print(at, "bold", "run closed", f"{data['outcome']} {data['reason']}")
            case _:
                pass

    def _print(self, at: str, style: str, what: str, detail: str) -> None:
        line = f"  {at}  [{style}]{what:<12}[/{style}] {escape(detail)}".rstrip()
        self.console.print(line, highlight=False, no_wrap=True, overflow="ellipsis")

    def _step(self, key: str) -> str:
        """`LeaveGroup:account:group` with names in the place of ids; the account itself goes without saying."""
        kind, *rest = key.split(":", 3)
        parts = [self.names.get(part, part) for part in rest[1:] if part not in ("False", "/")]
        return " ".join([kind, *parts])

    def stays(self, evidence: Mapping[str, Any]) -> None:
        table = Table(title="What stays, and what a person can do about it", title_justify="left")
        for column in ("kind", "what", "reason"):
            table.add_column(column)
        for finding in evidence["stays"]:
            facts = finding["facts"]
            what = facts.get("group") or facts.get("object") or facts.get("tenant", "")
            table.add_row(finding["kind"], self.names.get(what, what), finding["reason"])
        self.console.print(table)

    def anchor(self, evidence: Mapping[str, Any]) -> None:
        """What vouches for the evidence from outside the app's reach."""
        anchor = evidence["chain"]["anchor"]
        if isinstance(anchor, Mapping):
            text = f"anchored by checkpoint {anchor['number']} of {anchor['at']}, signed with {anchor['key']}"
            self.console.print(f"  {text}", soft_wrap=True)
        else:
            self.console.print(f"  {anchor}")
