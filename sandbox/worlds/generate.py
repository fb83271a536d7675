"""Worlds by seed, and large ones: `python -m sandbox.worlds.generate --seed N | --people N [--linked N]`.

A shuffled world has the demo's shape and nothing else of it: other names, ids and group kinds, two accounts for one
person, an account that nobody linked, a person whom HR has deleted. What a scenario needs to know stands in
`x_scenario`: `leaver`, `deleted` and `unlinked` ({person, accounts} by id), `links` (corporate id → account ids, what
to import) and `protected`. Printed as JSON, which is YAML.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import uuid
from typing import Any, TypeAlias

Data: TypeAlias = dict[str, Any]

CANARY = "00000000-0000-4000-8000-00000000ca11"
BREAK_GLASS = "00000000-0000-4000-8000-0000000b4ea6"
CORPORATE_DOMAIN = "contoso.example"
MSSP_DOMAIN = "soc.contoso.example"
SOC = "Security Operations"

GIVEN = ("Aino", "Bela", "Chidi", "Dilek", "Enzo", "Farah", "Goran", "Hana", "Ivo", "Jana", "Kofi", "Leila", "Moana")
FAMILY = ("Abara", "Brandt", "Castro", "Duarte", "Eklund", "Ferri", "Gallo", "Hoxha", "Ivanov", "Jansen", "O'Neill")
DEPARTMENTS = ("Retail", "Human Resources", "Engineering", "Operations", "Finance", "Legal")
TITLES = ("SOC Analyst", "Threat Hunter", "Detection Engineer", "Incident Responder")
TOPICS = ("Analysts", "Bridge", "Readers", "Responders", "Lab", "Storage", "Hunting", "Playbooks", "Reports", "Archive")
ROLES = ("Security Reader", "Security Operator", "Security Administrator", "Global Reader", "Compliance Administrator")
KINDS = ("assigned", "assigned", "role-assignable", "dynamic", "synced", "mail-enabled", "microsoft-365")
METHODS: tuple[Data, ...] = (
    {"kind": "phone", "id": "3179e48a-750b-4051-897c-87b9720928f7", "phoneNumber": "+1 5550177", "phoneType": "mobile"},
    {"kind": "authenticator", "displayName": "Phone", "phoneAppVersion": "6.8.14"},
    {"kind": "fido2", "displayName": "Security key", "model": "YubiKey 5 NFC"},
    {"kind": "oath"},
    {"kind": "hello", "displayName": "Workstation"},
    {"kind": "email", "emailAddress": "someone@elsewhere.example"},
)


def shuffle(seed: int) -> Data:
    """A world of the demo's shape; the same seed gives the same world."""
    return _Shuffle(seed).world()


def large(people: int, linked: int) -> Data:
    """A corporate tenant of many people, of whom the first few have an account in the MSSP tenant."""
    users = [
        _person(_uuid("person", at), f"Person {at}", f"p{at}", SOC if at < linked else "Retail") for at in range(people)
    ]
    accounts = [_account(_uuid("account", at), f"soc-{at:05x}") for at in range(linked)]
    links = {user["id"]: [account["id"]] for user, account in zip(users, accounts, strict=False)}
    return _world(
        {"links": links, "protected": [BREAK_GLASS]},
        {"users": [*users, _canary()]},
        {
            "users": [*accounts, _break_glass()],
            "groups": [{"displayName": "SOC", "members": [a["id"] for a in accounts]}],
        },
    )


def _uuid(kind: str, at: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {at}"))


def _person(key: str, name: str, alias: str, department: str) -> Data:
    address = f"{alias}@{CORPORATE_DOMAIN}"
    common = {"jobTitle": "SOC Analyst" if department == SOC else "Specialist", "companyName": "Contoso"}
    return {
        "id": key,
        "displayName": name,
        "userPrincipalName": address,
        "mail": address,
        "department": department,
        **common,
    }


def _account(key: str, name: str) -> Data:
    return {"id": key, "displayName": name, "userPrincipalName": f"{name}@{MSSP_DOMAIN}"}


def _canary() -> Data:
    return {**_person(CANARY, "Canary Person", "canary", SOC), "employeeLeaveDateTime": "2099-12-31T00:00:00Z"}


def _break_glass() -> Data:
    return _account(BREAK_GLASS, "break-glass")


def _world(scenario: Data, corporate: Data, mssp: Data, others: Data | None = None) -> Data:
    return {
        "x_scenario": scenario,
        "tenants": {
            "corporate": {"display_name": "Contoso", "domain": CORPORATE_DOMAIN, **corporate},
            "mssp": {
                "display_name": "Contoso MSSP",
                "domain": MSSP_DOMAIN,
                **mssp,
                "role_assignments": [
                    {"principal": BREAK_GLASS, "role": "Global Administrator"},
                    *mssp.get("role_assignments", ()),
                ],
            },
            **(others or {}),
        },
        "applications": {
            "jml": {
                "home_tenant": "mssp",
                "directory_roles": {"mssp": ["Privileged Authentication Administrator"]},
            }
        },
    }


class _Shuffle:
    """One shuffled world: every choice comes from the seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311 - worlds, not secrets
        self.people = self._people(self.random.randint(7, 11))
        names = self.random.sample(range(0x1000, 0xFFFF), len(self.people) + 1)
        self.accounts = [_account(self._key(), f"soc-{name:04x}") for name in names]
        self.groups: list[Data] = []

    def world(self) -> Data:
        leaver, deleted, unlinked, *rest = self.people
        first, second, third, fourth, *others = self.accounts
        scenario = {
            "seed": self.seed,
            "leaver": {"person": leaver["id"], "accounts": [first["id"], second["id"]]},
            "deleted": {"person": deleted["id"], "accounts": [third["id"]]},
            "unlinked": {"person": unlinked["id"], "accounts": [fourth["id"]]},
            "links": {
                leaver["id"]: [first["id"], second["id"]],
                deleted["id"]: [third["id"]],
                **{p["id"]: [a["id"]] for p, a in zip(rest, others, strict=True)},
            },
            "protected": [BREAK_GLASS],
        }
        corporate = {"users": [leaver, unlinked, *rest, *self._bystanders(), _canary()], "deleted_users": [deleted]}
        customer = {"display_name": "Customer", "domain": "customer.example", "users": self._guests([first, third])}
        return _world(scenario, corporate, self._mssp([first, second, third]), {"customer": customer})

    def _key(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _people(self, count: int) -> list[Data]:
        pairs = self.random.sample([(given, family) for given in GIVEN for family in FAMILY], count)
        found = []
        for at, (given, family) in enumerate(pairs):
            alias = f"{given}.{family.replace(chr(39), '')}{at}".lower()
            person = _person(self._key(), f"{given} {family}", alias, SOC)
            found.append({**person, "jobTitle": self.random.choice(TITLES), "employeeId": f"C{5000 + at}"})
        return found

    def _bystanders(self) -> list[Data]:
        return [
            _person(self._key(), f"Bystander {at}", f"bystander{at}", self.random.choice(DEPARTMENTS))
            for at in range(self.random.randint(3, 6))
        ]

    def _guests(self, accounts: list[Data]) -> list[Data]:
        return [
            {
                "id": self._key(),
                "displayName": f"{account['displayName']} (Contoso)",
                "userPrincipalName": f"{account['userPrincipalName'].replace('@', '_')}#EXT#@customer.example",
                "mail": account["userPrincipalName"],
                "userType": "Guest",
            }
            for account in accounts
        ]

    def _mssp(self, leavers: list[Data]) -> Data:
        """The leavers hold something of everything; the others are there to be left alone."""
        keys = [account["id"] for account in self.accounts]
        plain = [self._group(topic, keys, self.random.choice(KINDS)) for topic in TOPICS]
        onboarded = [
            self._pim_group(f"Duty {at}", self.random.choice(("assigned", "role-assignable"))) for at in range(3)
        ]
        packaged = [self._group(f"Package {at}", [], "assigned") for at in range(3)]
        tenant: Data = {"users": [*self.accounts, _break_glass()], "groups": [*plain, *onboarded, *packaged]}
        tenant["service_principals"] = [{"displayName": name} for name in ("Ticket Desk", "Graph Explorer", "Graph")]
        tenant["devices"] = [
            {"displayName": f"WS-{account['displayName']}", "users": [account["id"]], "owners": [account["id"]]}
            for account in leavers
        ]
        tenant["access_packages"] = [
            {
                "displayName": f"Access {group['displayName']}",
                "groups": [group["displayName"]],
                "assigned": self._some(keys),
            }
            for group in packaged
        ]
        tenant["authentication_methods"] = {
            key: self.random.sample(METHODS, self.random.randint(1, 4)) for key in self._some(keys)
        }
        return {**tenant, **self._access(keys, [group["displayName"] for group in onboarded])}

    def _access(self, keys: list[str], onboarded: list[str]) -> Data:
        some = self._some
        return {
            "role_assignments": [{"principal": key, "role": self.random.choice(ROLES)} for key in some(keys)],
            "role_eligibilities": [{"principal": key, "role": self.random.choice(ROLES)} for key in some(keys)],
            "group_eligibilities": [
                {
                    "principal": key,
                    "group": self.random.choice(onboarded),
                    "access": self.random.choice(("member", "owner")),
                }
                for key in some(keys)
            ],
            "group_activations": [{"principal": key, "group": self.random.choice(onboarded)} for key in some(keys)],
            "app_roles": [{"principal": key, "resource": "Ticket Desk"} for key in some(keys)],
            "oauth2_grants": [
                {"principal": key, "client": "Graph Explorer", "resource": "Graph", "scope": "User.Read"}
                for key in some(keys)
            ],
        }

    def _group(self, name: str, keys: list[str], kind: str) -> Data:
        return {
            "displayName": f"{name} {self.random.randint(100, 999)}",
            "kind": kind,
            "members": self._some(keys) if keys else [],
            "owners": self.random.sample(keys, min(2, len(keys))),
        }

    def _pim_group(self, name: str, kind: str) -> Data:
        return {"displayName": f"{name} {self.random.randint(100, 999)}", "kind": kind, "pim": True}

    def _some(self, keys: list[str]) -> list[str]:
        """The three leaving accounts, which come first, and a few others."""
        others = self.random.sample(keys[3:], min(3, len(keys) - 3))
        return [*[key for key in keys[:3] if self.random.random() < 0.8], *others]


def main() -> int:
    """Print a world."""
    parser = argparse.ArgumentParser(description="Generate a world file for the sandbox.")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--seed", type=int, help="a shuffled world of the demo's shape")
    kind.add_argument("--people", type=int, help="a world with that many corporate people")
    parser.add_argument("--linked", type=int, default=300, help="how many of them have an account")
    options = parser.parse_args()
    world = shuffle(options.seed) if options.seed is not None else large(options.people, options.linked)
    json.dump(world, sys.stdout, indent=None if options.people else 1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
