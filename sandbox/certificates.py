"""A certificate authority that lives as long as the sandbox: the app checks TLS as it does in Azure."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

HOSTS = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Certificates:
    """Files of one authority and of the one server certificate that every part of the sandbox shows."""

    authority: Path
    chain: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def environment(self) -> dict[str, str]:
        """What makes a process trust the authority: `ssl` reads the first, `requests` the second."""
        return {"SSL_CERT_FILE": str(self.authority), "REQUESTS_CA_BUNDLE": str(self.authority)}


def create_certificates(directory: Path) -> Certificates:
    authority = trustme.CA()
    server = authority.issue_cert(*HOSTS)
    files = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    authority.cert_pem.write_to_path(str(files.authority))
    server.private_key_pem.write_to_path(str(files.key))
    files.chain.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    return files
