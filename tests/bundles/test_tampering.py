"""Whatever is done to a sealed bundle, it no longer verifies, and the error says what differs."""

import dataclasses
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright import bundles
from edgewright.bundles import BundleContent
from edgewright.core.errors import InputError, TrustError
from edgewright.trust import SigningKey, own_key

FILES = (
    "manifest.json", "signature.json", "bom.cdx.json", "contract/inputs.json", "evidence/report.json",
    "golden/input-0.npy", "golden/output-1.npy", "models/onnxruntime/model.onnx",
)  # fmt: skip


def test_the_table_names_every_kind_of_file(pristine: Path) -> None:
    assert {p.split("/")[0] for p in FILES} == {p.name for p in pristine.iterdir()}


def _relink(path: Path) -> None:
    shutil.move(path, path.parent.parent / "aside")
    path.symlink_to(path.parent.parent / "aside")


def _hard_link(path: Path) -> None:
    os.link(path, path.parents[3] / "hard")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILERS: dict[str, Callable[[Path], object]] = {
    "one bit": lambda p: p.write_bytes(bytes([p.read_bytes()[0] ^ 1]) + p.read_bytes()[1:]),
    "one byte more": lambda p: p.write_bytes(p.read_bytes() + b"\n"),
    "one byte less": lambda p: p.write_bytes(p.read_bytes()[:-1]),
    "empty": lambda p: p.write_bytes(b""),
    "huge": lambda p: os.truncate(p, 2**40),
    "missing": lambda p: p.unlink(),
    "renamed": lambda p: p.rename(p.with_name(p.name.upper())),
    "symbolic link": _relink,
    "pipe": _pipe,
    "folder": _folder,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", SPOILERS)
def test_a_spoiled_file(sealed: Path, key: SigningKey, name: str, what: str) -> None:
    SPOILERS[what](sealed / name)
    with pytest.raises(TrustError):
        bundles.verify(sealed, [key.public])


@pytest.mark.parametrize("name", FILES)
def test_a_hard_link(sealed: Path, key: SigningKey, name: str) -> None:
    os.link(sealed / name, sealed.parent / "another name")
    with pytest.raises(TrustError, match=f"{name} is a hard link"):
        bundles.verify(sealed, [key.public])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
@pytest.mark.parametrize("name", ["manifest.json", "evidence/report.json"])
def test_a_device(sealed: Path, key: SigningKey, name: str) -> None:
    (sealed / name).unlink()
    try:
        os.mknod(sealed / name, 0o020666, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("this container makes no devices")
    with pytest.raises(TrustError, match=r"not a plain file|cannot be read"):
        bundles.verify(sealed, [key.public])


EXTRAS: dict[str, Callable[[Path], object]] = {
    "a file": lambda b: (b / "notes.txt").write_text("x"),
    "a hidden file": lambda b: (b / "models" / ".hidden").write_text(""),
    "an empty folder": lambda b: (b / "models" / "openvino").mkdir(),
    "a dangling link": lambda b: (b / "link").symlink_to("nowhere"),
    "a link to itself": lambda b: (b / "loop").symlink_to(b),
    "a case twin": lambda b: (b / "Manifest.json").write_bytes((b / "manifest.json").read_bytes()),
    "a copy of the bundle": lambda b: shutil.copytree(shutil.copytree(b, b.parent / "copy"), b / "evidence" / "bundle"),
    "a name that is not text": lambda b: Path(os.fsdecode(os.fsencode(b) + b"/\xff")).write_text(""),
}


@pytest.mark.parametrize("what", EXTRAS)
def test_something_more(sealed: Path, key: SigningKey, what: str) -> None:
    EXTRAS[what](sealed)
    with pytest.raises(TrustError, match="does not belong to the bundle"):
        bundles.verify(sealed, [key.public])


def test_a_folder_that_is_a_link(sealed: Path, key: SigningKey) -> None:
    (sealed / "models").rename(sealed.parent / "models")
    (sealed / "models").symlink_to(sealed.parent / "models")
    with pytest.raises(TrustError, match="is a link"):
        bundles.verify(sealed, [key.public])


def test_the_path_one_names_may_be_a_link(sealed: Path, key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(sealed)
    assert bundles.verify(tmp_path / "current", [key.public]).content.name == "classifier"


def test_files_that_changed_places(sealed: Path, key: SigningKey) -> None:
    a, b = sealed / "evidence/report.json", sealed / "evidence/readiness.json"
    mine, theirs = a.read_bytes(), b.read_bytes()
    a.write_bytes(theirs)
    b.write_bytes(mine)
    with pytest.raises(TrustError, match="evidence/re"):
        bundles.verify(sealed, [key.public])


def test_a_manifest_of_another_bundle_by_the_same_key(
    sealed: Path, key: SigningKey, content: BundleContent, tmp_path: Path
) -> None:
    bundles.seal(dataclasses.replace(content, labels=("x", "y", "z"), evidence={}), tmp_path / "other", key)
    shutil.copy(tmp_path / "other" / "signature.json", sealed)
    with pytest.raises(TrustError, match="signed bytes were changed"):
        bundles.verify(sealed, [key.public])
    shutil.copy(tmp_path / "other" / "manifest.json", sealed)
    with pytest.raises(TrustError, match=r"'evidence.*' does not belong"):
        bundles.verify(sealed, [key.public])


def test_sealed_again_by_a_foreign_key(content: BundleContent, key: SigningKey, tmp_path: Path) -> None:
    foreign = SigningKey.generate()
    bundles.seal(content, tmp_path / "bundle", foreign)
    with pytest.raises(TrustError, match=f"signed by key {foreign.public.id}, which is not trusted"):
        bundles.verify(tmp_path / "bundle", [key.public])
    assert bundles.verify(tmp_path / "bundle", [key.public, foreign.public]).signer == foreign.public


def test_the_own_key_alone_is_trusted_by_default(
    content: BundleContent, pristine: Path, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with pytest.raises(TrustError, match="you have none of your own"):
        bundles.verify(pristine)
    assert not (tmp_path / "config").exists()
    bundles.seal(content, tmp_path / "mine")
    assert bundles.verify(tmp_path / "mine").signer == own_key().public
    with pytest.raises(TrustError, match="not trusted"):
        bundles.verify(pristine)
    with pytest.raises(TrustError, match="not trusted"):  # naming keys replaces the default
        bundles.verify(tmp_path / "mine", [key.public])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_of_any_file(sealed: Path, key: SigningKey, data: st.DataObject) -> None:
    path = sealed / data.draw(st.sampled_from(sorted(str(p.relative_to(sealed)) for p in sealed.rglob("*.*"))))
    original = path.read_bytes()
    spoiled = bytearray(original)
    spoiled[data.draw(st.integers(0, len(original) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(spoiled)
    with pytest.raises(TrustError):
        bundles.verify(sealed, [key.public])
    path.write_bytes(original)
    bundles.verify(sealed, [key.public])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_of_the_single_file(packed: Path, key: SigningKey, data: st.DataObject) -> None:
    original = packed.read_bytes()
    spoiled = bytearray(original)
    # Every header and padding byte counts, not the contents alone.
    spoiled[data.draw(st.integers(0, len(original) - 1))] ^= data.draw(st.integers(1, 255))
    packed.write_bytes(spoiled)
    with pytest.raises(TrustError):
        bundles.verify(packed, [key.public])
    packed.write_bytes(original)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_shorter_single_file(packed: Path, key: SigningKey, data: st.DataObject) -> None:
    original = packed.read_bytes()
    packed.write_bytes(original[: data.draw(st.integers(0, len(original) - 1))])
    with pytest.raises(TrustError):
        bundles.verify(packed, [key.public])
    packed.write_bytes(original)


def _tar(entries: list[tuple[tarfile.TarInfo, bytes]], kind: int = tarfile.USTAR_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=kind) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
        end = archive.offset
    return stream.getvalue()[:end] + b"\0" * 1024


def _info(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


Entries = list[tuple[tarfile.TarInfo, bytes]]
REPLACED = "bom.cdx.json"


def _instead(*new: tuple[tarfile.TarInfo, bytes]) -> Callable[[Entries], Entries]:
    return lambda all_: [e for old in all_ for e in (new if old[0].name == REPLACED else (old,))]


def _after(*new: tuple[tarfile.TarInfo, bytes]) -> Callable[[Entries], Entries]:
    return lambda all_: [*all_, *new]


ARCHIVES: dict[str, Callable[[Entries], Entries]] = {
    "a symbolic link": _instead(_info(REPLACED, type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "a hard link": _instead(_info(REPLACED, type=tarfile.LNKTYPE, linkname="manifest.json")),
    "a device": _instead(_info(REPLACED, type=tarfile.CHRTYPE, devmajor=1, devminor=5)),
    "a pipe": _instead(_info(REPLACED, type=tarfile.FIFOTYPE)),
    "a folder": _instead(_info(REPLACED, type=tarfile.DIRTYPE)),
    "a sparse file": _instead(_info(REPLACED, type=tarfile.GNUTYPE_SPARSE)),
    "a missing file": _instead(),
    "an absolute name": _after(_info("/etc/cron.d/x", b"x")),
    "an escaping name": _after(_info("../../x", b"x")),
    "an inner escape": _after(_info("models/../../x", b"x")),
    "a drive": _after(_info("C:/x", b"x")),
    "a backslash": _after(_info("..\\x", b"x")),
    "an extra file": _after(_info("extra", b"x")),
    "an extra link": _after(_info("models/onnxruntime/model.onnx", type=tarfile.SYMTYPE, linkname="/")),
    "the manifest twice": lambda all_: [all_[0], *all_],
    "a later twin": lambda all_: [*all_, all_[-1]],
    "a case twin": lambda all_: [*all_, _info("MANIFEST.json", all_[0][1])],
    "another order": lambda all_: [all_[1], all_[0], *all_[2:]],
    "reversed": lambda all_: all_[:2] + all_[:1:-1],
    "the manifest last": lambda all_: [*all_[1:], all_[0]],
    "an executable": lambda all_: [_info(i.name, d, mode=0o755) for i, d in all_],
    "an owner": lambda all_: [_info(i.name, d, uid=1000) for i, d in all_],
    "a time": lambda all_: [_info(i.name, d, mtime=1) for i, d in all_],
    "nothing": lambda all_: [],
    "one folder down": lambda all_: [_info(f"bundle/{i.name}", d) for i, d in all_],
    "dotted names": lambda all_: [_info(f"./{i.name}", d) for i, d in all_],
}


def _entries(packed: Path) -> Entries:
    with tarfile.open(packed) as archive:
        found = [(info.name, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]
    return [_info(name, data) for name, data in found]


def test_plain_tar_writes_the_same_archive(packed: Path) -> None:
    assert _tar(_entries(packed)) == packed.read_bytes()  # so that the attacks below differ in nothing but the attack


@pytest.mark.parametrize("what", ARCHIVES)
@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_that_is_not_the_one(packed: Path, key: SigningKey, what: str, kind: int) -> None:
    packed.write_bytes(_tar(ARCHIVES[what](_entries(packed)), kind))
    with pytest.raises(TrustError, match=r"the archive (holds|is cut)|is no bundle"):
        bundles.verify(packed, [key.public])


def test_an_extended_header_in_an_archive(packed: Path, key: SigningKey) -> None:
    entries = _entries(packed)
    entries[2][0].pax_headers = {"path": "elsewhere"}
    packed.write_bytes(_tar(entries, tarfile.PAX_FORMAT))
    with pytest.raises(TrustError, match="an extended header"):
        bundles.verify(packed, [key.public])


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 512, b"x", b"PK\x05\x06" + b"\0" * 18])
def test_bytes_after_the_end_of_an_archive(packed: Path, key: SigningKey, tail: bytes) -> None:
    packed.write_bytes(packed.read_bytes() + tail)
    with pytest.raises(TrustError, match="where it should end"):
        bundles.verify(packed, [key.public])


def test_other_archives(packed: Path, key: SigningKey, pristine: Path) -> None:
    import gzip

    original = packed.read_bytes()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"\0" * 10_000_000)
    for data in (bomb.getvalue(), gzip.compress(original), b"", b"\0" * 4096, os.urandom(4096)):
        packed.write_bytes(data)
        with pytest.raises(TrustError, match=r"is no bundle; pack one"):
            bundles.verify(packed, [key.public])


def test_a_size_beyond_the_limit_takes_no_memory(packed: Path, key: SigningKey) -> None:
    from edgewright.bundles.archive import header

    packed.write_bytes(header("manifest.json", 8 * 2**30 - 1))
    with pytest.raises(TrustError, match="at most 8,388,608 belong"):
        bundles.verify(packed, [key.public])
    packed.write_bytes(header("manifest.json", 2**20) + b"short")
    with pytest.raises(TrustError, match=r"cut or changed at manifest\.json"):
        bundles.verify(packed, [key.public])


def test_where_there_is_no_bundle(tmp_path: Path, key: SigningKey) -> None:
    with pytest.raises(InputError, match="No such file"):
        bundles.verify(tmp_path / "nowhere", [key.public])
    with pytest.raises(TrustError, match=r"manifest\.json is missing"):
        bundles.verify(tmp_path, [key.public])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither a folder nor a file"):
        bundles.verify(tmp_path / "pipe", [key.public])


@pytest.mark.parametrize("size", [0, 25, 5000])
def test_a_file_that_is_no_archive_is_no_bundle_and_its_content_is_not_shown(tmp_path: Path, size: int) -> None:
    path = tmp_path / "notes.ewb"
    path.write_bytes((b"secret words " * 400)[:size])
    with pytest.raises(TrustError, match=r"notes\.ewb is no bundle; pack one with") as caught:
        bundles.verify(path, [SigningKey.generate().public])
    assert "secret" not in str(caught.value)
