"""Devices of the tests: real certificates, ssl and http.client, one connection each."""

import http.client
import json
import socket
import ssl
from urllib.parse import urlsplit

from edgewright.core.messages import Enrol, Enrolled, Renew, Sync, read, render
from edgewright.trust.authority import (
    Token,
    begin_request,
    chain_pem,
    client_context,
    find_anchor,
    first_contact_context,
    install,
    load_anchors,
    load_identity,
    save_anchors,
)


class Device:
    """``folder`` is its state, ``url`` where the hub listens for it."""

    def __init__(self, folder, url):
        self.folder, self.url = folder, url
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port
        self.connection = None
        self.revision = 0
        self.enrolled = None

    def connect(self, context=None):
        self.close()
        if context is None:
            identity = load_identity(self.folder)
            context = client_context(identity and identity.path, chain_pem(*load_anchors(self.folder)))
        self.connection = http.client.HTTPSConnection(self.host, self.port, context=context, timeout=30)
        return self

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def ask(self, method, path, body=b"", **headers):
        if self.connection is None:
            self.connect()
        self.connection.request(method, f"/device/v1/{path}", body, headers)
        answer = self.connection.getresponse()
        return answer, answer.read()

    def status(self, method, path, body=b"", **headers):
        return self.ask(method, path, body, **headers)[0].status

    def trust(self, token):
        self.connect(first_contact_context())
        _, pem = self.ask("GET", "anchors")
        save_anchors(self.folder, chain_pem(find_anchor(pem, Token.parse(token).anchor)))
        self.close()

    def enrol(self, token, name=""):
        if not (self.folder / "anchors.pem").exists():
            self.trust(token)
        message = Enrol(begin_request(self.folder).decode(), token, name)
        answer, data = self.ask("POST", "enrol", render(message))
        self.close()
        if answer.status == 200:
            self.enrolled = read(Enrolled, data)
            install(self.folder, self.enrolled.certificate.encode())
        return answer.status, data

    def renew(self):
        answer, data = self.ask("POST", "renew", render(Renew(begin_request(self.folder).decode())))
        self.close()
        if answer.status == 200:
            install(self.folder, read(Enrolled, data).certificate.encode())
        return answer.status

    def sync(self, wait=0, **more):
        """The answer's status and what it says."""
        self.send_sync(wait, **more)
        return self.synced()

    def send_sync(self, wait=0, **more):
        if self.connection is None:
            self.connect()
        message = Sync(self.revision, more.pop("boot", "b1"), **more)
        self.connection.request("POST", f"/device/v1/sync?wait={wait}", render(message))

    def synced(self):
        answer = self.connection.getresponse()
        told = json.loads(answer.read() or b"null")
        if answer.status == 200:
            self.revision = told["revision"]
        return answer.status, told

    def raw(self):
        """A TLS connection with nothing sent."""
        identity = load_identity(self.folder)
        context = client_context(identity and identity.path, chain_pem(*load_anchors(self.folder)))
        return context.wrap_socket(socket.create_connection((self.host, self.port), 30), server_hostname=self.host)


__all__ = ["Device", "ssl"]
