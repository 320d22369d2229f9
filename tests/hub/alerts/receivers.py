"""What webhooks are posted to, and how a receiver reads them."""

import base64
import hashlib
import hmac
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edgewright.hub.alerts import testing

NOT_TAKEN = "it was not taken there (the address is private)"
STATUS = {"state": "idle", "current": "a" * 64, "clock_s": 1.0, "free_bytes": 0}


class Receiver:
    """An HTTP server that keeps what is posted and answers ``status``."""

    def __init__(self, context=None):
        self.got, self.status, self.headers, outer = [], 200, {}, self
        self.go = threading.Event()
        self.go.set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.go.wait(9)
                outer.got.append((self.path, dict(self.headers), body))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def bodies(self):
        return [json.loads(body) for _, _, body in self.got]


def make(who, url, **body):
    return who.post("/api/edge/webhooks", {"url": url, "private": True} | body)


def tried(hub, path, **options):
    """How a test went."""
    made = hub.north.post(path, None, 202, **options)
    testing.settle(hub.state)
    return next(o for o in hub.north.get("/api/edge/alerts/deliveries")["items"] if o["id"] == made["id"])


def verify(secret, headers, body, now):
    """As a receiver does it, after the text of Standard Webhooks 1.0."""
    id_, at = headers["webhook-id"], headers["webhook-timestamp"]
    assert abs(now.timestamp() - int(at)) < 300, "too old: a replay"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    made = base64.b64encode(hmac.new(key, f"{id_}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(one, f"v1,{made}") for one in headers["webhook-signature"].split())


def certificate(folder, name):
    """A CA, and a certificate of ``name`` from it: their files."""
    now = datetime.now(UTC)

    def build(subject, key, issuer, signer, *extensions):
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        made = made.not_valid_after(now + timedelta(days=9))
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(signer, hashes.SHA256())

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = build(
        called, ca_key, called, ca_key, (x509.BasicConstraints(True, 0), True), (identifier, False), (usage, True)
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    leaf = build(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, called, ca_key,
        (x509.SubjectAlternativeName([x509.DNSName(name)]), False), (authority, False),
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + private)
    return folder / "ca.pem", folder / "leaf.pem"
