"""PostgreSQL over TLS: asked for, it is there; a certificate that nobody vouches for is refused where one is asked."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from edgewright.hub.database import EVERY, Database
from edgewright.testing.beside import beside
from edgewright.testing.certificates import make_certificate
from edgewright.testing.site import free_port

server = beside(Path(__file__).with_name("postgres.py")).server


def test_what_the_url_asks_of_tls_is_done(tmp_path):
    port = free_port()
    with server() as one:
        data = one.folder / "data"
        chain, key = make_certificate(tmp_path)
        for place, name in ((chain, "server.crt"), (key, "server.key")):
            shutil.copy(place, data / name)
            shutil.chown(data / name, data.owner())
            (data / name).chmod(0o600)
        one.ask("CREATE DATABASE hub OWNER edgewright TEMPLATE template0")
        (data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 trust\n")
        one.stop()
        settings = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories={one.folder} -c port={port} -c ssl=on"
        one._control("-w", "-o", settings, "start")

        def encrypted(query):
            with Database(f"postgresql://edgewright@127.0.0.1:{port}/hub?{query}") as it, it.read(EVERY) as session:
                told = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
                return session.connection().execute(text(told)).scalar_one()

        assert encrypted("sslmode=require") and encrypted(f"sslmode=verify-full&sslrootcert={chain}")
        with pytest.raises(OperationalError, match="certificate verify failed"):
            encrypted("sslmode=verify-full")
        with pytest.raises(OperationalError, match="pg_hba"):
            encrypted("sslmode=disable")
