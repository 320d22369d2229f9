"""Keys are made once, kept private, and refused when anybody else could have touched them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.core.errors import InputError, StorageError, TrustError
from edgewright.trust import SigningKey, keys_folder, load_public_key, load_signing_key, own_key, own_public_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "edgewright" / "keys"


def test_made_on_first_use_then_kept(folder: Path) -> None:
    assert own_public_key(folder) is None
    assert not folder.exists()
    first = own_key(folder)
    assert own_key(folder).public == first.public == own_public_key(folder)
    assert load_public_key(folder / "own.pub") == first.public
    assert stat.S_IMODE((folder / "own.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(p.name for p in folder.iterdir()) == ["own.key", "own.pub"]


def test_a_lost_or_stale_public_file_is_written_again(folder: Path) -> None:
    key = own_key(folder)
    (folder / "own.pub").unlink()
    own_key(folder)
    assert load_public_key(folder / "own.pub") == key.public
    (folder / "own.pub").write_text(SigningKey.generate().public.text())
    own_key(folder)
    assert load_public_key(folder / "own.pub") == key.public


def test_processes_that_start_at_once_share_one_key(folder: Path) -> None:
    program = "from pathlib import Path; from edgewright.trust import own_key; print(own_key(Path({!r})).public.id)"
    running = [
        subprocess.Popen([sys.executable, "-c", program.format(str(folder))], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in running}) == 1
    assert all(process.returncode == 0 for process in running)


def test_the_private_key_does_not_show_itself(folder: Path) -> None:
    key = own_key(folder)
    assert "Ed25519" not in repr(key)
    assert "own.key" in repr(key)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644, 0o666, 0o601])
def test_a_key_others_may_touch_is_refused(folder: Path, mode: int) -> None:
    own_key(folder)
    (folder / "own.key").chmod(mode)
    for use in (own_key, own_public_key):
        with pytest.raises(TrustError, match="chmod 600"):
            use(folder)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_folder_others_may_enter_is_refused(folder: Path, mode: int) -> None:
    own_key(folder)
    folder.chmod(mode)
    for use in (own_key, own_public_key):
        with pytest.raises(TrustError, match="chmod 700"):
            use(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("which", ["own.key", "."])
def test_a_foreign_owner_is_refused(folder: Path, which: str) -> None:
    own_key(folder)
    os.chown(folder / which, 12345, 12345)
    with pytest.raises(TrustError, match="belongs to user 12345"):
        own_key(folder)


def test_a_linked_key_is_refused(folder: Path, tmp_path: Path) -> None:
    own_key(folder)
    (folder / "own.key").rename(tmp_path / "elsewhere")
    (folder / "own.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TrustError, match="cannot read the key"):
        own_key(folder)


def test_a_pipe_for_a_key_is_refused_without_waiting(folder: Path) -> None:
    own_key(folder)
    (folder / "own.key").unlink()
    os.mkfifo(folder / "own.key", 0o600)
    with pytest.raises(TrustError, match="not a regular file"):
        own_key(folder)


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_broken_key_is_not_replaced(folder: Path, content: bytes) -> None:
    own_key(folder)
    (folder / "own.key").write_bytes(content)
    with pytest.raises(TrustError, match="not a private key"):
        own_key(folder)
    assert (folder / "own.key").read_bytes() == content


def test_another_kind_of_key_is_refused(folder: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    other = X25519PrivateKey.generate()
    own_key(folder)
    (folder / "own.key").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(TrustError, match="not an Ed25519 key"):
        load_signing_key(folder / "own.key")
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "own.pub").write_bytes(b"edgewright public key 00\n" + public)
    with pytest.raises(InputError, match="not an Ed25519 key"):
        load_public_key(folder / "own.pub")


def test_a_file_where_the_folder_belongs(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        own_key(tmp_path / "keys")


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "",
        lambda t: t + "\n",
        lambda t: t[:-1],
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t.replace("edgewright public key ", "edgewright public key 0"),
        lambda t: t.split("\n", 1)[1],
        lambda t: t + t,
        lambda t: t + "é",
        lambda t: t + " " * 5000,
    ],
)
def test_a_public_file_has_one_spelling(folder: Path, change: object) -> None:
    text = SigningKey.generate().public.text()
    folder.mkdir(parents=True)
    (folder / "a.pub").write_text(text, newline="")
    assert load_public_key(folder / "a.pub").text() == text
    (folder / "a.pub").write_text(change(text), newline="")  # type: ignore[operator]
    with pytest.raises(InputError):
        load_public_key(folder / "a.pub")


def test_where_keys_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keys_folder() == tmp_path / "edgewright" / "keys"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for invalid in ("", "relative/path"):
        monkeypatch.setenv("XDG_CONFIG_HOME", invalid)
        assert keys_folder() == tmp_path / "home" / ".config" / "edgewright" / "keys"
