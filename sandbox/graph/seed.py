"""A tenant's directory as its world file describes it."""

from __future__ import annotations

from typing import Any

from sandbox.directory_roles import ROLE_TEMPLATES
from sandbox.graph import packages, privileged
from sandbox.graph.bodies import canonical
from sandbox.graph.directory import Directory, text_of
from sandbox.graph.people import with_user_keys
from sandbox.graph.privileged import Term
from sandbox.graph.schema import entity_type
from sandbox.graph.store import Row
from sandbox.world import Group, Tenant, World, stable_id
from sandbox.world_names import METHOD_TYPES, Names, application_tenants, names_of

LONG_AGO = "2024-01-02T03:04:05Z"
LONG = 100_000
"""Minutes that whatever has no start in the file has been there."""
DEFAULT_APP_ROLE = "00000000-0000-0000-0000-000000000000"
_PRINCIPALS = ("users", "groups", "service_principals")

KINDS: dict[str, Row] = {
    "assigned": {},
    "role-assignable": {"isAssignableToRole": True},
    "dynamic": {
        "groupTypes": ["DynamicMembership"],
        "membershipRule": "user.accountEnabled -eq true",
        "membershipRuleProcessingState": "On",
    },
    "synced": {"onPremisesSyncEnabled": True, "onPremisesLastSyncDateTime": LONG_AGO},
    "mail-enabled": {"mailEnabled": True},
    "microsoft-365": {"groupTypes": ["Unified"], "mailEnabled": True, "securityEnabled": False},
}
"""What the sandbox's words for kinds of groups stand for."""


def seeded(world: World, tenant_name: str) -> Directory:
    """The directory of a tenant, without replication delay for what has always been there."""
    tenant = world.tenants[tenant_name]
    settings = world.settings
    directory = Directory(
        tenant_name, tenant.id, cloud=tenant.cloud, delay_s=settings.consistency_ms / 1000, page_size=settings.page_size
    )
    delays = {name: table.delay for name, table in directory.tables.items()}
    for table in directory.tables.values():
        table.delay = 0
    _Seeder(world, tenant_name, tenant, directory).run()
    for name, delay in delays.items():
        directory[name].delay = delay
    return directory


class _Seeder:
    def __init__(self, world: World, name: str, tenant: Tenant, directory: Directory) -> None:
        self.world = world
        self.name = name
        self.tenant = tenant
        self.directory = directory
        self.names: Names = names_of(world, name)

    def run(self) -> None:
        self._roles_and_organization()
        self._people()
        self._groups()
        self._other_objects()
        self._applications()
        self._role_holders()
        self._group_pim()
        self._packages()
        self._app_access()
        self._methods()

    def _put(self, table: str, kind: str, row: Row) -> None:
        self.directory[table].seed(row["id"], {**row, "@odata.type": f"#microsoft.graph.{kind}"})

    def _id(self, name: str, *kinds: str) -> str:
        return self.names.id(name, *kinds)

    def _roles_and_organization(self) -> None:
        for role, template in ROLE_TEMPLATES.items():
            self.directory["roleDefinitions"].seed(
                template,
                {"id": template, "templateId": template, "displayName": role, "isBuiltIn": True, "isEnabled": True},
            )
            key = stable_id(self.name, "directoryRoles", template)
            self._put("directoryRoles", "directoryRole", {"id": key, "displayName": role, "roleTemplateId": template})
        domain = {"name": self.tenant.domain, "isDefault": True, "isInitial": False, "type": "Managed"}
        self.directory["organization"].seed(
            self.tenant.id,
            {"id": self.tenant.id, "displayName": self.tenant.display_name, "verifiedDomains": [domain]},
        )

    def _people(self) -> None:
        for user in self.tenant.users:
            self.directory["users"].seed(user["id"], self._user(user))
        for user in self.tenant.deleted_users:
            row = self._user({"deletedDateTime": text_of(self.directory.now()), **user})
            row["userPrincipalName"] = row["id"].replace("-", "") + row["userPrincipalName"]
            self.directory["deletedUsers"].seed(row["id"], row)

    def _user(self, user: Row) -> Row:
        defaults = {
            "accountEnabled": True,
            "userType": "Member",
            "createdDateTime": LONG_AGO,
            "signInSessionsValidFromDateTime": LONG_AGO,
        }
        row = {**defaults, **canonical(user, entity_type("user"))}
        if "manager" in row:
            row["_manager"] = self._id(row.pop("manager"), "users")
        return with_user_keys(row)

    def _groups(self) -> None:
        for group in self.tenant.groups:
            self._put("groups", "group", self._group(group))
        for group in self.tenant.groups:
            for relation in ("members", "owners"):
                for name in getattr(group, relation):
                    self._link(relation, group.id, name, *_PRINCIPALS, "devices")

    def _group(self, group: Group) -> Row:
        nickname = "".join(c for c in group.displayName if c.isalnum())
        common = {
            "mailEnabled": False,
            "securityEnabled": True,
            "mailNickname": nickname,
            "groupTypes": [],
            "createdDateTime": LONG_AGO,
            "_pim": group.pim,
        }
        row = {**common, **KINDS[group.kind], **group.graph()}
        if row["mailEnabled"]:
            row.setdefault("mail", f"{nickname}@{self.tenant.domain}")
        return row

    def _other_objects(self) -> None:
        for device in self.tenant.devices:
            self._put("devices", "device", {"accountEnabled": True, "deviceId": device.id, **device.graph()})
            for name in device.users:
                self._link("registeredUsers", device.id, name, "users")
            for name in device.owners:
                self._link("registeredOwners", device.id, name, "users")
        for principal in self.tenant.service_principals:
            self._service_principal({"appId": stable_id("apps", principal.displayName), **principal.graph()})
            for name in principal.owners:
                self._link("owners", principal.id, name, "users")
        for unit in self.tenant.administrative_units:
            self._put("administrativeUnits", "administrativeUnit", unit.graph())
            for name in unit.members:
                self._link("members", unit.id, name, "users", "groups", "devices")
            if unit.graph().get("isMemberManagementRestricted"):
                self._restrict(unit.id)

    def _restrict(self, unit: str) -> None:
        """Members of a restricted-management unit say so themselves."""
        for link in list(self.directory["members"].where("_holder", unit)):
            for table in ("users", "groups"):
                row = self.directory[table].get(link["_object"])
                if row is not None:
                    self.directory[table].seed(row["id"], {**row, "isManagementRestricted": True})

    def _service_principal(self, row: Row) -> None:
        common = {"accountEnabled": True, "servicePrincipalType": "Application", "appDisplayName": row["displayName"]}
        self._put("servicePrincipals", "servicePrincipal", {**common, **row})

    def _applications(self) -> None:
        for name, application in self.world.applications.items():
            if self.name in application_tenants(application):
                key = application.object_id(self.name)
                self._service_principal({"id": key, "displayName": name, "appId": application.app_id})
                for role in application.directory_roles.get(self.name, ()):
                    privileged.assign_role(self.directory, key, ROLE_TEMPLATES[role], "/", self._term())

    def _role_holders(self) -> None:
        for item in self.tenant.role_assignments:
            self._assign(item.principal, item.role, "/")
        for unit in self.tenant.administrative_units:
            for scoped in unit.scoped_roles:
                self._assign(scoped.principal, scoped.role, f"/administrativeUnits/{unit.id}")
        for item in self.tenant.role_eligibilities:
            privileged.make_role_eligible(
                self.directory,
                self._id(item.principal, *_PRINCIPALS),
                ROLE_TEMPLATES[item.role],
                "/",
                self._term(),
            )
        for active in self.tenant.role_activations:
            term = self._term(active.started_minutes_ago, active.lasts_minutes)
            principal = self._id(active.principal, *_PRINCIPALS)
            privileged.assign_role(self.directory, principal, ROLE_TEMPLATES[active.role], "/", term)

    def _assign(self, principal: str, role: str, scope: str) -> None:
        key = self._id(principal, *_PRINCIPALS)
        privileged.assign_role(self.directory, key, ROLE_TEMPLATES[role], scope, self._term())

    def _group_pim(self) -> None:
        for item in self.tenant.group_eligibilities:
            who, group = self._id(item.principal, "users"), self._id(item.group, "groups")
            privileged.make_group_eligible(self.directory, who, group, item.access, self._term())
        for active in self.tenant.group_activations:
            who, group = self._id(active.principal, "users"), self._id(active.group, "groups")
            term = self._term(active.started_minutes_ago, active.lasts_minutes)
            privileged.activate_group(self.directory, who, group, active.access, term)

    def _packages(self) -> None:
        for package in self.tenant.access_packages:
            row = {**package.graph(), "_groups": [self._id(name, "groups") for name in package.groups]}
            self.directory["accessPackages"].seed(package.id, row)
            policies = [
                {"id": stable_id(self.name, package.id, name), "displayName": name, "_package": package.id}
                for name in package.policies
            ]
            for policy in policies:
                self.directory["accessPackagePolicies"].seed(policy["id"], policy)
            for name in package.assigned:
                who = self._id(name, "users")
                key = stable_id(self.name, "packageAssignments", package.id, who)
                packages.deliver(
                    self.directory, {**packages.assignment(self.directory, who, row, policies[0]), "id": key}
                )

    def _app_access(self) -> None:
        for item in self.tenant.app_roles:
            who, resource = self._id(item.principal, *_PRINCIPALS), self._id(item.resource, "service_principals")
            principal, target = self.directory.object(who) or {}, self.directory.object(resource) or {}
            key = stable_id(self.name, "appRoles", who, resource, item.role)
            row = {
                "id": key,
                "appRoleId": _app_role(target, item.role),
                "createdDateTime": LONG_AGO,
                "principalId": who,
                "principalType": str(principal.get("@odata.type", "User")).rsplit(".", 1)[-1].capitalize(),
                "principalDisplayName": principal.get("displayName"),
                "resourceId": resource,
                "resourceDisplayName": target.get("displayName"),
            }
            self.directory["appRoleAssignments"].seed(key, row)
        for grant in self.tenant.oauth2_grants:
            who = self._id(grant.principal, "users")
            client, resource = (self._id(name, "service_principals") for name in (grant.client, grant.resource))
            key = stable_id(self.name, "grants", who, client, resource)
            row = {"id": key, "principalId": who, "clientId": client, "resourceId": resource}
            self.directory["oauth2PermissionGrants"].seed(
                key, {**row, "consentType": "Principal", "scope": grant.scope}
            )

    def _methods(self) -> None:
        for name, methods in self.tenant.authentication_methods.items():
            who = self._id(name, "users")
            for at, method in enumerate(methods):
                body = {key: value for key, value in method.items() if key != "kind"}
                row = {"id": stable_id(self.name, "methods", who, str(at)), "createdDateTime": LONG_AGO, **body}
                row |= {"@odata.type": f"#microsoft.graph.{METHOD_TYPES[method['kind']]}", "_user": who}
                self.directory["authenticationMethods"].seed(f"{who} {row['id']}", row)

    def _link(self, relation: str, holder: str, name: str, *kinds: str) -> None:
        self.directory.link(relation, holder, self._id(name, *kinds))

    def _term(self, started_minutes_ago: int = LONG, lasts_minutes: int | None = None) -> Term:
        start = self.directory.now() - 60 * started_minutes_ago
        return Term(start, None if lasts_minutes is None else start + 60 * lasts_minutes)


def _app_role(resource: Row, name: str) -> str:
    """The id of an application's role by its value or display name; the default role where it has none."""
    roles: list[dict[str, Any]] = resource.get("appRoles") or []
    wanted = name.casefold()
    found = (r["id"] for r in roles if wanted in (str(r.get("value")).casefold(), str(r.get("displayName")).casefold()))
    return next(found, DEFAULT_APP_ROLE)
