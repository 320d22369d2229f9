"""The CA: what it signs, what it refuses, and how it is rotated while devices go on."""

import contextlib
import ssl
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.errors import EdgewrightError, InputError, TrustError
from edgewright.trust.authority import (
    Authority,
    Identity,
    begin_request,
    certificate_digest,
    chain_pem,
    check_request,
    client_context,
    find_anchor,
    install,
    load_anchors,
    load_identity,
    make_request,
    parse_chain,
    parse_peer,
    pending_digest,
    save_anchors,
    server_context,
    write_private,
)
from edgewright.trust.authority.certificates import device_certificate, issuing_certificate, root_certificate
from edgewright.trust.authority.material import key_identifier, new_key, parse_key

NOW = datetime.now(UTC).replace(microsecond=0)  # handshakes look at the machine's clock
PRESS = Identity("acme", "press-1")
DAY = timedelta(days=1)


@pytest.fixture
def authority(tmp_path):
    return Authority.create(tmp_path / "ca", NOW)


def enrol(authority, folder, identity=PRESS, now=NOW):
    """A device as it is after enrolment or renewal: the hub's whole part, and the device's."""
    save_anchors(folder, authority.anchors)
    issued = authority.issue_device(check_request(begin_request(folder)), identity, now)
    return install(folder, issued.chain)


def der(identity):
    return parse_chain(identity.path.read_bytes(), "it")[0].public_bytes(Encoding.DER)


def shake_hands(authority, folder, host="hub", names=("hub",), server=None):
    """A whole TLS handshake in memory; the device as the hub sees it. Raises ssl.SSLError."""
    path = authority.folder / "server.pem"
    write_private(path, (server or authority.issue_server(names, NOW)).pem)
    identity = load_identity(folder)
    client = client_context(identity.path if identity else None, chain_pem(*load_anchors(folder)))
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    a = client.wrap_bio(back, there, server_hostname=host)
    b = server_context(path, authority.anchors).wrap_bio(there, back, server_side=True)
    left = [a, b]
    while left:
        for side in tuple(left):
            try:
                side.do_handshake()
                left.remove(side)
            except ssl.SSLWantReadError:
                pass
    found = b.getpeercert(binary_form=True)
    return authority.authenticate(found) if found else None


def test_a_device_is_let_in_under_its_one_name(authority, tmp_path):
    identity = enrol(authority, tmp_path / "device")
    peer = shake_hands(authority, tmp_path / "device")
    assert peer == identity.peer
    assert peer.identity == PRESS and peer.identity.uri == "edgewright:acme/press-1"
    assert peer.not_after == NOW + 30 * DAY and peer.not_before == NOW - timedelta(hours=1)
    certificate = x509.load_der_x509_certificate(der(identity))
    assert not len(certificate.subject)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [n.value for n in names.value] == [PRESS.uri] and names.critical
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]


def test_a_device_without_a_certificate_gets_as_far_as_enrolment(authority, tmp_path):
    save_anchors(tmp_path / "device", authority.anchors)
    assert shake_hands(authority, tmp_path / "device") is None


def test_another_host_name_and_another_hub_are_refused_by_the_device(authority, tmp_path):
    enrol(authority, tmp_path / "device")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(authority, tmp_path / "device", host="other")
    other = Authority.create(tmp_path / "other", NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(other, tmp_path / "device")


def test_addresses_are_names_too(authority, tmp_path):
    enrol(authority, tmp_path / "device")
    for address in ("192.0.2.7", "2001:db8::7"):
        assert shake_hands(authority, tmp_path / "device", host=address, names=("hub", address))


@pytest.mark.parametrize("name", ["", "a b", "hub/", "*.hub", "h\0b", "-" + "a" * 70, "hüb", "a..b"])
def test_bad_host_names_are_refused(authority, name):
    with pytest.raises(InputError):
        authority.issue_server([name], NOW)


def test_no_host_name_is_refused(authority):
    with pytest.raises(InputError, match="needs a name"):
        authority.issue_server([], NOW)


def test_a_device_s_certificate_is_none_for_a_server(authority, tmp_path):
    enrol(authority, tmp_path / "device")
    enrol(authority, tmp_path / "impostor", Identity("acme", "hub"))
    stolen = replace(authority.issue_server(["hub"], NOW), pem=(tmp_path / "impostor" / "identity.pem").read_bytes())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(authority, tmp_path / "device", server=stolen)


def test_a_server_s_certificate_is_none_for_a_device(authority):
    leaf = parse_chain(authority.issue_server(["hub"], NOW).pem, "it")[0]
    with pytest.raises(TrustError, match="one name, a URI"):
        authority.authenticate(leaf.public_bytes(Encoding.DER))


def test_files_are_private(authority, tmp_path):
    enrol(authority, tmp_path / "device")
    kept = [*(tmp_path / "ca").glob("*.key"), tmp_path / "ca" / "authority.json", tmp_path / "device" / "identity.pem"]
    assert len(kept) == 4
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    kept[0].chmod(0o640)
    kept[1].chmod(0o640)
    with pytest.raises(TrustError, match="chmod 600"):
        authority.issue_server(["hub"], NOW)


def test_it_opens_again_and_is_not_made_twice(authority):
    assert Authority.load(authority.folder) == authority
    with pytest.raises(InputError, match="already holds a CA"):
        Authority.create(authority.folder, NOW)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"schema":"edgewright.authority/1","roots":[],"crosses":[],"issuing":[]}', "\xff"]
)
def test_a_damaged_folder_says_so(authority, text):
    (authority.folder / "authority.json").write_text(text, "latin-1")
    with pytest.raises(TrustError, match="restore it"):
        Authority.load(authority.folder)


# What a request may hold, and what comes of it.


def test_names_and_extensions_of_a_request_are_ignored(authority):
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")])
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("hub")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    request = check_request(builder.sign(ec.generate_private_key(ec.SECP256R1()), SHA256()).public_bytes(Encoding.PEM))
    peer = authority.issue_device(request, PRESS, NOW).peer
    assert peer.identity == PRESS and peer.key == request.digest


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
)
def test_other_kinds_of_keys_are_refused(key):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    with pytest.raises(TrustError, match="not ECDSA on P-256"):
        check_request(builder.sign(key, algorithm).public_bytes(Encoding.PEM))


def test_another_hash_is_refused():
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    with pytest.raises(TrustError, match="with SHA-256"):
        check_request(builder.sign(KEY, SHA512()).public_bytes(Encoding.PEM))


def test_a_request_for_somebody_else_s_key_is_refused():
    mine = x509.load_pem_x509_csr(make_request(new_key())).public_bytes(Encoding.DER)
    other = x509.load_pem_x509_csr(make_request(new_key())).public_bytes(Encoding.DER)
    point = mine.index(b"\x03\x42\x00\x04") + 4
    swapped = mine[:point] + other[point : point + 64] + mine[point + 64 :]
    pem = x509.load_der_x509_csr(swapped).public_bytes(Encoding.PEM)
    with pytest.raises(TrustError, match="not signed"):
        check_request(pem)


@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(1, 255))
def test_whatever_is_sent_gets_an_answer(noise, place, flip):
    pem = bytearray(make_request(KEY))
    pem[place % len(pem)] ^= flip
    for data in (noise, bytes(pem), bytes(pem)[: place % len(pem)], b"x" * 10_000):
        with contextlib.suppress(TrustError):
            assert check_request(data).digest


KEY = new_key()


# Renewal, and clocks.


def test_renewal_is_at_two_thirds_and_takes_a_new_key(authority, tmp_path):
    first = enrol(authority, tmp_path / "device")
    assert not first.due(NOW + 19.9 * DAY) and first.due(NOW + 21 * DAY)
    second = enrol(authority, tmp_path / "device", now=NOW + 21 * DAY)
    assert second.peer.serial != first.peer.serial and second.peer.key != first.peer.key
    assert second.peer.identity == first.peer.identity and not second.due(NOW + 40 * DAY)


def test_devices_enrolled_together_do_not_renew_together(authority):
    peers = [authority.issue_device(check_request(make_request(KEY)), PRESS, NOW).peer for _ in range(30)]
    begin, end = min(p.renew_at for p in peers), max(p.renew_at for p in peers)
    assert timedelta(hours=6) < end - begin <= timedelta(hours=25)
    assert begin >= NOW + 19.9 * DAY and end <= NOW + 21.1 * DAY


@pytest.mark.parametrize(
    ("after", "standing"),
    [(-400, "valid"), (0, "valid"), (29.9, "valid"), (30, "renew_only"), (90, "renew_only"), (395, "expired")],
)
def test_what_a_certificate_is_good_for(authority, after, standing):
    peer = authority.issue_device(check_request(make_request(KEY)), PRESS, NOW).peer
    assert peer.standing(NOW + after * DAY) == standing


def test_a_device_that_was_off_for_long_still_shakes_hands(authority, tmp_path):
    enrol(authority, tmp_path / "device", now=NOW - 60 * DAY)
    assert shake_hands(authority, tmp_path / "device").standing(NOW) == "renew_only"


def test_a_device_whose_clock_restarted_in_1970_can_check_its_hub(authority):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    chain = parse_chain(authority.issue_server(["hub"], NOW).pem + authority.anchors, "it")
    assert all(certificate.not_valid_before_utc == epoch for certificate in chain)


def test_nothing_outlives_what_signed_it(authority):
    late = authority.issuing[-1].not_valid_after_utc - DAY
    assert authority.issue_device(check_request(make_request(KEY)), PRESS, late).peer.not_after == late + DAY
    assert authority.issue_server(["hub"], late).not_after == late + DAY


# A lost answer, and what does not fit.


def test_a_lost_answer_is_asked_for_again_with_the_same_key(authority, tmp_path):
    folder = tmp_path / "device"
    assert pending_digest(folder) is None
    first, second = begin_request(folder), begin_request(folder)
    assert check_request(first).digest == check_request(second).digest == pending_digest(folder)
    save_anchors(folder, authority.anchors)
    chain = authority.issue_device(check_request(second), PRESS, NOW).chain
    assert install(folder, chain) == install(folder, chain) == load_identity(folder)
    assert pending_digest(folder) is None


def test_a_certificate_that_is_not_ours_is_not_kept(authority, tmp_path):
    folder = tmp_path / "device"
    save_anchors(folder, authority.anchors)
    request = check_request(begin_request(folder))
    strange = Authority.create(tmp_path / "other", NOW).issue_device(request, PRESS, NOW).chain
    with pytest.raises(TrustError, match="below any trusted anchor"):
        install(folder, strange)
    for_another = authority.issue_device(check_request(make_request(KEY)), PRESS, NOW).chain
    with pytest.raises(TrustError, match="another key"):
        install(folder, for_another)
    assert load_identity(folder) is None


def test_a_chain_through_a_device_is_not_believed(authority, tmp_path):
    folder = tmp_path / "device"
    bad = enrol(authority, tmp_path / "bad")
    bad_key = parse_key(bad.path.read_bytes(), "it")
    bad_chain = parse_chain(bad.path.read_bytes(), "it")
    save_anchors(folder, authority.anchors)
    request = check_request(begin_request(folder))
    forged = device_certificate(PRESS, request.public_key, bad_chain[0], bad_key, NOW)
    with pytest.raises(TrustError):
        install(folder, chain_pem(forged, *bad_chain))
    with pytest.raises(TrustError, match="issuer"):
        authority.authenticate(forged.public_bytes(Encoding.DER))


def test_an_issuer_s_name_is_not_its_signature(authority, tmp_path):
    other = Authority.create(tmp_path / "other", NOW)
    made = other.issue_device(check_request(make_request(KEY)), PRESS, NOW).chain
    disguised = replace(authority, issuing=other.issuing)  # knows the issuer: taken
    leaf = parse_chain(made, "it")[0].public_bytes(Encoding.DER)
    assert disguised.authenticate(leaf).identity == PRESS
    position = leaf.rindex(b"\x30\x45") if b"\x30\x45" in leaf else len(leaf) - 40
    broken = leaf[: position + 20] + bytes([leaf[position + 20] ^ 1]) + leaf[position + 21 :]
    with pytest.raises(TrustError):
        disguised.authenticate(broken)


@given(st.binary(max_size=300), st.integers(0, 5000), st.integers(1, 255))
def test_whatever_certificate_is_shown_gets_an_answer(noise, place, flip):
    good = bytearray(GOOD)
    good[place % len(good)] ^= flip
    for data in (noise, bytes(good), bytes(good)[: place % len(good)]):
        with contextlib.suppress(TrustError):
            assert parse_peer(data).identity.tenant


def _good():
    root = root_certificate(KEY, NOW)
    issuing = issuing_certificate(KEY.public_key(), root, KEY, NOW)
    return device_certificate(PRESS, KEY.public_key(), issuing, KEY, NOW).public_bytes(Encoding.DER)


GOOD = _good()


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "",
            "edgewright:",
            "edgewright:a",
            "edgewright:/b",
            "edgewright:a/",
            "edgewright:a/b/c",
            "edgewright:a/..%2f",
        ),
        *("http:a/b", "edgewright:a/b\n", "edgewright:-a/b", "edgewright:a/" + "b" * 65, "EDGEWRIGHT:a/b"),
        "edgewright:é/b",
    ],
)
def test_other_names_are_no_identities(uri):
    with pytest.raises(InputError):
        Identity.parse(uri)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True), st.text(max_size=70))
def test_an_identity_has_one_spelling(tenant, device):
    try:
        identity = Identity(tenant, device)
    except EdgewrightError:
        return
    assert Identity.parse(identity.uri) == identity


# Rotation.


def test_issuing_rotates_and_what_was_signed_before_stays_good(authority, tmp_path):
    old = enrol(authority, tmp_path / "old")
    rotated = authority.rotate_issuing(NOW + 400 * DAY)
    assert Authority.load(authority.folder) == rotated
    new = enrol(rotated, tmp_path / "new", Identity("acme", "press-2"))
    assert old.peer.issuer != new.peer.issuer
    assert {shake_hands(rotated, tmp_path / name).identity.device for name in ("old", "new")} == {"press-1", "press-2"}
    retired = rotated.retire(certificate_digest(rotated.issuing[0]))
    with pytest.raises(TrustError, match="no longer"):
        retired.authenticate(der(old))
    assert shake_hands(retired, tmp_path / "new") == new.peer


def test_a_root_rotates_without_losing_a_device_that_heard_nothing(authority, tmp_path):
    enrol(authority, tmp_path / "away")
    announced = authority.announce_root(NOW + DAY)
    assert len(parse_chain(announced.anchors, "it")) == 2
    enrol(announced, tmp_path / "told", Identity("acme", "press-2"))
    rotated = announced.rotate_issuing(NOW + DAY)
    assert rotated.anchor_digest == certificate_digest(rotated.roots[1]) != authority.anchor_digest
    for name in ("away", "told"):  # the one that knows the old root alone comes by the cross certificate
        assert shake_hands(rotated, tmp_path / name)
    enrol(rotated, tmp_path / "new", Identity("acme", "press-3"))
    assert shake_hands(rotated, tmp_path / "new")


def test_three_roots_in_a_row(authority, tmp_path):
    enrol(authority, tmp_path / "away")
    now = NOW
    for _ in range(2):
        now += DAY
        authority = authority.announce_root(now).rotate_issuing(now)
    assert shake_hands(authority, tmp_path / "away")
    chain = parse_chain(authority.issue_server(["hub"], now).pem, "it")
    assert len(chain) == 4  # leaf, issuing, two crosses


def test_a_retired_root_is_gone_with_all_below(authority, tmp_path):
    old = enrol(authority, tmp_path / "old")
    rotated = authority.announce_root(NOW).rotate_issuing(NOW)
    final = rotated.retire(certificate_digest(rotated.roots[0]))
    assert Authority.load(authority.folder) == final
    assert final.crosses == () and len(final.roots) == len(final.issuing) == 1
    assert len(list(authority.folder.glob("*.key"))) == 2  # the retired ones' keys are gone
    with pytest.raises(TrustError):
        final.authenticate(der(old))
    with pytest.raises(ssl.SSLCertVerificationError):  # it still trusts the old root alone
        shake_hands(final, tmp_path / "old")
    enrol(final, tmp_path / "new")
    assert shake_hands(final, tmp_path / "new")


def test_the_last_one_is_not_retired(authority):
    for certificate in (authority.roots[0], authority.issuing[0]):
        with pytest.raises(InputError, match="last one"):
            authority.retire(certificate_digest(certificate))
    with pytest.raises(InputError, match="no root"):
        authority.retire("00")


def test_a_root_s_key_may_lie_elsewhere(authority, tmp_path):
    key = authority.folder / f"{key_identifier(authority.roots[0])}.key"
    key.rename(tmp_path / "safe.key")
    enrol(authority, tmp_path / "device")
    with pytest.raises(TrustError, match="cannot read the key"):
        authority.rotate_issuing(NOW)
    announced = authority.announce_root(NOW)  # without it nothing is crossed: the new one must be handed out first
    assert announced.crosses == ()
    enrol(announced, tmp_path / "told")
    rotated = announced.rotate_issuing(NOW)
    assert shake_hands(rotated, tmp_path / "told")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(rotated, tmp_path / "device")


def test_what_is_due_is_told(authority):
    assert authority.due(NOW) == ()
    assert authority.due(NOW + 4 * 365 * DAY) == ("issuing",)
    assert authority.due(NOW + 15 * 365 * DAY) == ("root", "issuing")


def test_the_first_contact_finds_the_anchor_of_the_token(authority, tmp_path):
    rotated = authority.announce_root(NOW).rotate_issuing(NOW)
    assert find_anchor(rotated.anchors, rotated.anchor_digest) == rotated.roots[1]
    other = Authority.create(tmp_path / "other", NOW)
    with pytest.raises(TrustError, match="not the hub"):
        find_anchor(other.anchors, rotated.anchor_digest)


@pytest.mark.parametrize("pem", [b"", b"nothing", b"x" * 100_000])
def test_bad_anchors_are_refused(tmp_path, pem):
    with pytest.raises(TrustError):
        save_anchors(tmp_path, pem)


def test_a_leaf_is_no_anchor(authority, tmp_path):
    leaf = parse_chain(authority.issue_device(check_request(make_request(KEY)), PRESS, NOW).chain, "it")[0]
    with pytest.raises(TrustError):
        save_anchors(tmp_path / "device", chain_pem(leaf))
