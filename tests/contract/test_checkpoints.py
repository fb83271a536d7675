"""What a container of checkpoints is, in memory and in Azure Storage; what the app may do there; what keys sign."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient
from azure.storage.blob.aio import ContainerClient
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from sandbox.azurite import CONTAINER, TABLE, Azurite
from sandbox.certificates import Certificates
from sandbox.entra import Entra
from sandbox.keyvault import KeyVault
from sandbox.serving import bind, port_of, serve
from shared.adapters.blobs import BlobContainer
from shared.adapters.signing import FileSigner, PublicKeys, VaultSigner, thumbprint
from shared.adapters.tables import Tables
from shared.errors import Conflict, Denied, Refused, Transient
from shared.ports import Container, KeyName, Row
from tests.contract.credentials import Signed
from tests.contract.graphs import WORLD
from tests.fakes.checkpoints import MemoryContainer, private_key

pytestmark = pytest.mark.asyncio(loop_scope="module")
STORAGE = "https://storage.azure.com"
ACCOUNT = "account"
DIGEST = hashlib.sha256(b"a checkpoint").digest()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def azurite(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory, trust: None
) -> AsyncIterator[Azurite]:
    server = Azurite(certificates, tmp_path_factory.mktemp("azurite"), [ACCOUNT])
    await server.start()
    yield server
    await server.stop()


def container_url(azurite: Azurite) -> str:
    return f"{azurite.endpoint('Blob', ACCOUNT)}/{CONTAINER}"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "azurite"])
async def container(request: pytest.FixtureRequest, azurite: Azurite) -> AsyncIterator[Container]:
    if request.param == "memory":
        yield MemoryContainer()
        return
    blobs = BlobContainer(container_url(azurite), Signed(STORAGE))
    yield blobs
    await blobs.close()


@pytest.fixture
def name() -> str:
    return f"{uuid.uuid4().int % 10**10:010d}.json"


# -- the container ----------------------------------------------------------------------------------------------------


async def test_what_is_added_is_what_is_got(container: Container, name: str) -> None:
    await container.add(name, b"\x00\xff one")
    assert await container.get(name) == b"\x00\xff one"


async def test_what_is_not_there_is_none(container: Container, name: str) -> None:
    assert await container.get(name) is None


async def test_a_name_that_is_taken_is_a_conflict_and_stays_what_it_was(container: Container, name: str) -> None:
    await container.add(name, b"first")
    with pytest.raises(Conflict):
        await container.add(name, b"second")
    assert await container.get(name) == b"first"


async def test_of_two_writers_of_one_name_one_loses(container: Container, name: str) -> None:
    done = await asyncio.gather(*(container.add(name, str(at).encode()) for at in range(8)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["Conflict"] * 7 + ["NoneType"]


async def test_names_come_in_their_order(container: Container) -> None:
    for at in (3, 1, 2):
        await container.add(f"order-{at}", b"")
    assert [one async for one in container.names() if one.startswith("order")] == ["order-1", "order-2", "order-3"]


async def test_a_container_that_nobody_made_is_a_matter_of_the_deployment(azurite: Azurite, name: str) -> None:
    blobs = BlobContainer(f"{container_url(azurite)}-none", Signed(STORAGE))
    with pytest.raises(Denied, match="made by the deployment"):
        await blobs.get(name)
    with pytest.raises(Denied, match="made by the deployment"):
        _ = [one async for one in blobs.names()]
    await blobs.close()


# -- what the app may do ----------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tables(azurite: Azurite) -> AsyncIterator[Tables]:
    """With the app's own kind of credential."""
    made = Tables(azurite.endpoint("Table", ACCOUNT), Signed(STORAGE))
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def raw(azurite: Azurite) -> AsyncIterator[TableClient]:
    """The same, with the SDK itself: it knows more ways to change a row than the app has."""
    async with TableClient(azurite.endpoint("Table", ACCOUNT), TABLE, credential=Signed(STORAGE)) as client:
        yield client


def ledger_row(key: str = "00000000") -> Row:
    return Row(uuid.uuid4().hex, key, {"data": "{}"})


async def test_the_app_adds_to_the_ledger_singly_and_in_transactions_and_reads_it(tables: Tables) -> None:
    one = ledger_row()
    await tables.insert(TABLE, [one])
    await tables.insert(TABLE, [replace(one, key=f"{at:08d}") for at in range(1, 101)])
    assert len([row async for row in tables.query(TABLE, one.partition)]) == 101
    assert (await tables.get(TABLE, one.partition, "00000100")) is not None
    assert any([row.partition == one.partition async for row in tables.scan(TABLE)])


async def test_the_app_cannot_change_a_row_of_the_ledger(tables: Tables) -> None:
    one = ledger_row()
    [version] = await tables.insert(TABLE, [one])
    with pytest.raises(Denied, match="JML Ledger Writer"):
        await tables.replace(TABLE, replace(one, values={"data": "[]"}, version=version))
    found = await tables.get(TABLE, one.partition, one.key)
    assert found is not None
    assert found.values == {"data": "{}"}


@pytest.mark.parametrize(
    "change",
    ["replace", "merge", "upsert", "upsert replacing", "delete", "delete in a transaction", "upsert in a transaction"],
)
async def test_no_way_to_change_or_delete_a_row_is_open_to_the_app(raw: TableClient, change: str) -> None:
    partition = uuid.uuid4().hex
    entity = {"PartitionKey": partition, "RowKey": "00000000", "data": "{}"}
    await raw.create_entity(entity)
    changed = {**entity, "data": "[]"}
    ways: dict[str, Callable[[], Awaitable[Any]]] = {
        "replace": lambda: raw.update_entity(changed, mode=UpdateMode.REPLACE),
        "merge": lambda: raw.update_entity(changed, mode=UpdateMode.MERGE),
        "upsert": lambda: raw.upsert_entity(changed),
        "upsert replacing": lambda: raw.upsert_entity(changed, mode=UpdateMode.REPLACE),
        "delete": lambda: raw.delete_entity(partition, "00000000"),
        "delete in a transaction": lambda: raw.submit_transaction([("delete", entity)]),
        "upsert in a transaction": lambda: raw.submit_transaction(
            [("create", {**entity, "RowKey": "00000001"}), ("upsert", changed)]
        ),
    }
    with pytest.raises(HttpResponseError) as refused:
        await ways[change]()
    assert refused.value.status_code == 403
    assert "AuthorizationPermissionMismatch" in str(refused.value)
    assert [dict(row) async for row in raw.list_entities() if row["PartitionKey"] == partition] == [entity]


async def test_the_app_cannot_delete_the_ledgers_table(raw: TableClient) -> None:
    with pytest.raises(HttpResponseError) as refused:
        await raw.delete_table()
    assert refused.value.status_code == 403


async def test_other_tables_are_the_apps_to_change(tables: Tables) -> None:
    one = ledger_row()
    [version] = await tables.insert("people", [one])
    await tables.replace("people", replace(one, values={"data": "[]"}, version=version))


async def test_whoever_has_the_accounts_key_may_change_anything(azurite: Azurite, tables: Tables) -> None:
    """That is what checkpoints are for."""
    one = ledger_row()
    await tables.insert(TABLE, [one])
    owner = AzureNamedKeyCredential(ACCOUNT, azurite.keys[ACCOUNT])
    async with TableClient(azurite.endpoint("Table", ACCOUNT), TABLE, credential=owner) as client:
        await client.delete_entity(one.partition, one.key)
    assert await tables.get(TABLE, one.partition, one.key) is None


async def test_the_app_can_neither_change_nor_delete_a_checkpoint(azurite: Azurite, name: str) -> None:
    async with ContainerClient.from_container_url(container_url(azurite), credential=Signed(STORAGE)) as client:
        await client.upload_blob(name, b"first")
        blob = client.get_blob_client(name)
        ways = (
            lambda: blob.upload_blob(b"second", overwrite=True),
            blob.delete_blob,
            lambda: blob.set_blob_metadata({"a": "b"}),
            lambda: blob.stage_block("AAAA", b"x"),
            client.delete_container,
        )
        for way in ways:
            with pytest.raises(HttpResponseError) as refused:
                await way()
            assert refused.value.status_code == 403
            assert refused.value.error_code == "AuthorizationPermissionMismatch"  # type: ignore[attr-defined]
        assert await (await client.download_blob(name)).readall() == b"first"


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="module")
async def vault(certificates: Certificates, trust: None) -> AsyncIterator[KeyVault]:
    listener = bind()
    url = f"https://localhost:{port_of(listener)}"
    entra = Entra(WORLD, login="https://login.example", resources=set(), api_audience="api")
    made = KeyVault(entra, WORLD.applications["jml"], url)
    runner = await serve(made.application(), listener, certificates.server_context())
    yield made
    await runner.cleanup()


def app_token(vault: KeyVault, audience: str = "https://vault.azure.net") -> Signed:
    """Of the app's managed identity."""
    return Signed.of(vault.entra.identity_token(WORLD.applications["jml"], audience))


def pem(path: Path, name: str = "own", *, public: bool = False) -> Path:
    if public:
        content = (
            private_key(name)
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    else:
        content = private_key(name).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    path.write_bytes(content)
    return path


async def test_what_the_vault_signs_its_public_key_verifies(vault: KeyVault) -> None:
    signer = VaultSigner(vault.key_url, vault.scope, app_token(vault))
    key, signature = await signer.key(), await signer.sign(DIGEST)
    assert key.id.startswith(f"{vault.key_url}/")
    assert await signer.refusal(key, DIGEST, signature) == ""
    assert "does not fit" in await signer.refusal(key, hashlib.sha256(b"another").digest(), signature)
    await signer.close()


async def test_a_rotated_key_signs_under_its_own_name_and_the_old_one_still_verifies(vault: KeyVault) -> None:
    before = VaultSigner(vault.key_url, vault.scope, app_token(vault))
    old, signature = await before.key(), await before.sign(DIGEST)
    vault.rotate()
    assert (await before.key()) == old
    after = VaultSigner(vault.key_url, vault.scope, app_token(vault))
    assert (await after.key()).id != old.id
    assert await after.refusal(old, DIGEST, signature) == ""
    pinned = VaultSigner(old.id, vault.scope, app_token(vault))
    assert (await pinned.key()) == old
    for signer in (before, after, pinned):
        await signer.close()


async def test_a_version_that_is_refused_is_changed_for_the_current_one(vault: KeyVault) -> None:
    signer = VaultSigner(vault.key_url, vault.scope, app_token(vault))
    old = await signer.key()
    vault.rotate()
    vault.disable(old.id.rpartition("/")[2])
    with pytest.raises(Denied):
        await signer.sign(DIGEST)
    new = await signer.key()
    assert new != old
    assert await signer.refusal(new, DIGEST, await signer.sign(DIGEST)) == ""
    await signer.close()


async def test_a_version_that_is_gone_is_refused_and_no_conflict(vault: KeyVault) -> None:
    gone = VaultSigner(f"{vault.key_url}/{'0' * 32}", vault.scope, app_token(vault))
    with pytest.raises(Refused, match="404"):
        await gone.key()
    await gone.close()


@pytest.mark.parametrize("version", ["0" * 32, "../../secrets/x", ""])
async def test_a_version_that_the_vault_does_not_know_is_a_finding(vault: KeyVault, version: str) -> None:
    """Whoever can add a blob names what key they like: that must not end the audit."""
    signer = VaultSigner(vault.key_url, vault.scope, app_token(vault))
    made_up = replace(await signer.key(), id=f"{vault.key_url}/{version}")
    assert await signer.refusal(made_up, DIGEST, b"") != ""
    await signer.close()


async def test_a_key_of_another_vault_is_not_trusted(vault: KeyVault) -> None:
    signer = VaultSigner(vault.key_url, vault.scope, app_token(vault))
    elsewhere = replace(await signer.key(), id="https://vault.evil.example/keys/checkpoints/1")
    assert "is no version of" in await signer.refusal(elsewhere, DIGEST, await signer.sign(DIGEST))
    await signer.close()


async def test_a_vault_that_does_not_know_the_app_is_denied_with_the_role(vault: KeyVault) -> None:
    for credential in (app_token(vault, STORAGE), Signed("https://vault.azure.net")):
        signer = VaultSigner(vault.key_url, vault.scope, credential)
        with pytest.raises(Denied, match="JML Checkpoint Signer"):
            await signer.key()
        await signer.close()


async def test_a_vault_where_nobody_answers_is_transient(nowhere: str, trust: None) -> None:
    signer = VaultSigner(f"{nowhere}/keys/checkpoints", "https://vault.azure.net/.default", Signed("x"))
    with pytest.raises(Transient):
        await signer.key()
    await signer.close()


async def test_what_a_key_file_signs_every_form_of_its_public_key_verifies(tmp_path: Path) -> None:
    signer = FileSigner(pem(tmp_path / "key.pem"))
    key, signature = await signer.key(), await signer.sign(DIGEST)
    public = private_key("own").public_key()
    assert key == KeyName(f"urn:ietf:params:oauth:jwk-thumbprint:sha-256:{thumbprint(public)}", thumbprint(public))
    jwk = RSAAlgorithm.to_jwk(public, as_dict=True)
    forms = {
        "jwk": jwk,
        "jwks": {"keys": [jwk]},
        "az keyvault key show": {"key": {**jwk, "kty": "RSA-HSM"}, "attributes": {}},
    }
    paths = [pem(tmp_path / "public.pem", public=True), tmp_path / "key.pem"]
    for name, document in forms.items():
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(document))
    for path in paths:
        assert await PublicKeys.from_files([path]).refusal(key, DIGEST, signature) == "", path
    other = PublicKeys.from_files([pem(tmp_path / "other.pem", "other", public=True)])
    assert "signed with another key" in await other.refusal(key, DIGEST, signature)


async def test_a_thumbprint_is_that_of_rfc_7638() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    key = RSAAlgorithm.from_jwk({"kty": "RSA", "e": "AQAB", "n": n})
    assert isinstance(key, rsa.RSAPublicKey)
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
async def test_a_key_file_that_cannot_sign_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pem"
    path.write_bytes(content)
    with pytest.raises(Refused, match=r"bad\.pem"):
        await FileSigner(path).key()
    with pytest.raises(ValueError, match=r"bad\.pem"):
        PublicKeys.from_files([path])
