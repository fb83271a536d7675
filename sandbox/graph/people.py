"""Operations on users, groups and what hangs on them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable

from sandbox.graph.bodies import canonical
from sandbox.graph.calls import Answer, Call, Operation
from sandbox.graph.directory import Directory, text_of
from sandbox.graph.operations import Rows, seen_user, user
from sandbox.graph.refusals import refuse
from sandbox.graph.schema import entity_type
from sandbox.graph.store import Row

REQUIRED = ("accountEnabled", "displayName", "mailNickname", "userPrincipalName", "passwordProfile")
NEVER_READ = ("passwordProfile",)
NEVER_EMPTY = ("displayName", "userPrincipalName")
MERGED = ("onPremisesExtensionAttributes",)
"""Complex properties of which a write changes what it names; others are replaced as a whole (facts 2)."""
PASSWORD_METHOD = "28c10230-6103-485e-b985-444c60001490"  # noqa: S105 - the id of every password method
"""learn: resources/passwordauthenticationmethod."""


def with_user_keys(row: Row) -> Row:
    """A user's row with what the sandbox finds it by."""
    return {**row, "@odata.type": "#microsoft.graph.user", "_upn": row["userPrincipalName"].casefold()}


def write_user(directory: Directory, row: Row, body: Row) -> None:
    """A user with changed properties."""
    for name in NEVER_EMPTY:
        if name in body and not body[name]:
            raise refuse("property-value", name=name, entity="User")
    changes = {name: value for name, value in canonical(body, entity_type("user")).items() if name not in NEVER_READ}
    for name in set(changes) & set(MERGED):
        changes[name] = {**(row.get(name) or {}), **(changes[name] or {})}
    directory["users"].put(row["id"], with_user_keys({**row, **changes}))


def create_user(call: Call) -> Answer:
    for name in REQUIRED:
        if call.body.get(name) in (None, ""):
            raise refuse("property-required", name=name, entity="User")
    now = text_of(call.directory.now())
    row = {
        "id": str(uuid.uuid4()),
        "userType": "Member",
        "createdDateTime": now,
        "signInSessionsValidFromDateTime": now,
        "userPrincipalName": call.body["userPrincipalName"],
    }
    write_user(call.directory, row, call.body)
    created = call.directory["users"].rows[row["id"]]
    return Answer(201, call.view.shown(created, "user"))


def update_user(call: Call) -> Answer:
    write_user(call.directory, user(call), call.body)
    return Answer(204)


def revoke_sessions(call: Call) -> Answer:
    row = user(call)
    stamp = text_of(call.directory.now())
    call.directory["users"].put(row["id"], {**row, "signInSessionsValidFromDateTime": stamp})
    return Answer(200, {"@odata.context": f"{call.asked.origin}/v1.0/$metadata#Edm.Boolean", "value": True})


def delete_user(call: Call) -> Answer:
    soft_delete(call.directory, user(call))
    return Answer(204)


def delete_member_object(call: Call) -> Answer:
    """DELETE of a member without /$ref deletes the object itself (facts, number 4)."""
    row = call.directory["users"].get(call.params["object"])
    if row is None:
        raise refuse("no-such-object", id=call.params["object"])
    soft_delete(call.directory, row)
    return Answer(204)


def soft_delete(directory: Directory, row: Row) -> None:
    """Into the deleted items for 30 days; the name is freed by putting the id before it, as Entra does."""
    directory["users"].remove(row["id"])
    freed = row["id"].replace("-", "") + row["userPrincipalName"]
    gone = {**row, "userPrincipalName": freed, "deletedDateTime": text_of(directory.now())}
    directory["deletedUsers"].put(row["id"], gone)


def _deleted(call: Call) -> Row:
    row = call.row("deletedUsers", "item")
    if row is None:
        raise refuse("no-such-object", id=call.params["item"])
    return row


def restore_user(call: Call) -> Answer:
    row = _deleted(call)
    name = row["userPrincipalName"].removeprefix(row["id"].replace("-", ""))
    restored = with_user_keys({**row, "userPrincipalName": name, "deletedDateTime": None})
    call.directory["deletedUsers"].remove(row["id"])
    call.directory["users"].put(row["id"], restored)
    return Answer(200, call.view.shown(restored, "directoryObject"))


def purge_user(call: Call) -> Answer:
    call.directory["deletedUsers"].remove(_deleted(call)["id"])
    return Answer(204)


# -- what a user belongs to, owns and uses ----------------------------------------------------------------------


def member_of(call: Call) -> Iterable[Row]:
    """Groups and administrative units, and the Entra roles that the user itself actively holds."""
    key = seen_user(call)["id"]
    return itertools.chain(call.directory.seen_holders_of("members", key), _roles(call.directory, key))


def transitive_member_of(call: Call) -> Iterable[Row]:
    """The same, through groups: with the roles that those groups hold."""
    key = seen_user(call)["id"]
    groups = list(call.directory.seen_transitive_groups(key))
    roles = (role for one in (key, *(g["id"] for g in groups)) for role in _roles(call.directory, one))
    return {row["id"]: row for row in (*groups, *roles)}.values()


def _roles(directory: Directory, principal: str) -> Iterable[Row]:
    for row in directory["roleAssignments"].seen_where("principalId", principal):
        if row["directoryScopeId"] == "/" and (role := directory.directory_role(row["roleDefinitionId"])):
            yield role


def transitive_members(call: Call) -> Iterable[Row]:
    """Members of a group, directly or through groups, each once."""
    seen: dict[str, Row] = {}
    todo = [_seen_group(call)["id"]]
    while todo:
        for row in call.directory.seen_objects_of("members", todo.pop()):
            if row["id"] not in seen:
                seen[row["id"]] = row
                todo.append(row["id"])
    return seen.values()


def related(relation: str, *, of: str = "user") -> Rows:
    """Objects that the user holds a relation to, or that hold it to the group in the path."""
    if of == "user":
        return lambda call: call.directory.seen_holders_of(relation, seen_user(call)["id"])
    return lambda call: call.directory.seen_objects_of(relation, _seen_group(call)["id"])


def owned(kinds: tuple[str, ...]) -> Rows:
    """Objects of these types that the user owns."""

    def rows(call: Call) -> Iterable[Row]:
        for row in call.directory.seen_holders_of("owners", seen_user(call)["id"]):
            if row["@odata.type"].rsplit(".", 1)[-1] in kinds:
                yield row

    return rows


def manager(call: Call) -> Row | None:
    return call.directory.seen_object(str(seen_user(call).get("_manager")))


def authentication_methods(call: Call) -> Iterable[Row]:
    """The registered methods, and the password that every account of the tenant itself has."""
    row = seen_user(call)
    if row.get("userType") != "Guest":
        yield {
            "@odata.type": "#microsoft.graph.passwordAuthenticationMethod",
            "id": PASSWORD_METHOD,
            "createdDateTime": row.get("createdDateTime"),
        }
    yield from call.directory["authenticationMethods"].seen_where("_user", row["id"])


def method_key(call: Call) -> str:
    """Ids of methods such as phones are the same for every user, so that rows are kept by user and id."""
    return f"{call.directory.user_key(call.params['user'])} {call.params['method']}"


def create_pass(call: Call) -> Answer:
    """A Temporary Access Pass: a new one replaces the old; its value is in this reply alone (facts 4)."""
    row = user(call)
    kind = "#microsoft.graph.temporaryAccessPassAuthenticationMethod"
    methods = call.directory["authenticationMethods"]
    for old in list(methods.where("_user", row["id"])):
        if old["@odata.type"] == kind:
            methods.remove(f"{row['id']} {old['id']}")
    now = text_of(call.directory.now())
    made = {
        "@odata.type": kind,
        "id": str(uuid.uuid4()),
        "_user": row["id"],
        "createdDateTime": now,
        "startDateTime": call.body.get("startDateTime") or now,
        "lifetimeInMinutes": call.body.get("lifetimeInMinutes") or 60,
        "isUsableOnce": bool(call.body.get("isUsableOnce")),
        "isUsable": True,
        "methodUsabilityReason": "EnabledByPolicy",
    }
    methods.put(f"{row['id']} {made['id']}", made)
    reply = call.view.shown(made, call.entity)
    return Answer(201, {**reply, "temporaryAccessPass": uuid.uuid4().hex[:8]})


# -- groups -----------------------------------------------------------------------------------------------------


def _seen_group(call: Call) -> Row:
    row = call.directory["groups"].seen(call.params["group"])
    if row is None:
        raise refuse("no-such-object", id=call.params["group"])
    return row


def add_link(relation: str) -> Operation:
    """POST …/$ref: the object that @odata.id names becomes a member or owner."""

    def run(call: Call) -> Answer:
        reference = str(call.body.get("@odata.id") or "")
        key = reference.rsplit("/", 1)[-1]
        if "/v1.0/" not in reference:
            raise refuse("reference", value=reference)
        if call.directory.object(key) is None or call.row("groups", "group") is None:
            raise refuse("no-such-object", id=key)
        call.directory.link(relation, call.params["group"], key)
        return Answer(204)

    return run


def remove_link(relation: str) -> Operation:
    """DELETE …/$ref: a membership that PIM gave ends in PIM too."""

    def run(call: Call) -> Answer:
        group, key = call.params["group"], call.params["object"]
        link = call.directory.linked(relation, group, key)
        call.directory.unlink(relation, group, key)
        if link is not None and link["_via"]:
            call.directory["groupAssignmentSchedules"].remove(link["_via"])
        return Answer(204)

    return run


def get_by_ids(call: Call) -> Answer:
    """Directory objects by id: those that exist, of the types asked for."""
    kinds = {f"#microsoft.graph.{kind}" for kind in call.body.get("types") or ()}
    found = (call.directory.seen_object(key) for key in dict.fromkeys(call.body.get("ids") or ()))
    rows = (row for row in found if row is not None and (not kinds or row["@odata.type"] in kinds))
    value = [call.view.shown(row, "directoryObject", call.query.select) for row in rows]
    return Answer(200, {"@odata.context": f"{call.asked.origin}/v1.0/$metadata#directoryObjects", "value": value})
