import gzip

import pytest
from starlette.testclient import TestClient

from edgewright.studio import Pages

PAGE, SCRIPT = b"<!doctype html><title>Edgewright</title>" * 20, b"let a = 1;\n" * 200
HASHED = "assets/main-D4fgh_1x.js"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "pages"
    (made / "assets").mkdir(parents=True)
    (made / "index.html").write_bytes(PAGE)
    (made / HASHED).write_bytes(SCRIPT)
    (made / "theme.js").write_bytes(SCRIPT)
    (made / ".stamp").write_text("secret")
    (tmp_path / "other.js").write_bytes(b"not a page")
    return made


@pytest.fixture
def client(folder):
    return TestClient(Pages(folder), base_url="http://hub")


@pytest.mark.parametrize(
    "path", ["/edge-ai", "/edge-ai/", "/edge-ai/fleet", "/edge-ai/models/mod_1", "/edge-ai/nothing"]
)
def test_a_deep_link_is_the_page(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.content) == (200, PAGE)
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/edge-ai/assets/gone-12345678.js", "/edge-ai/../other.js", "/edge-ai/%2e%2e/other.js", "/edge-ai/.stamp"]
)
def test_what_is_no_file_of_the_pages_is_not_found(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert b"not a page" not in answer.content


def test_a_file_with_its_digest_in_its_name_is_kept_for_good_and_others_are_asked_for(client):
    assert client.get(f"/edge-ai/{HASHED}").headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get("/edge-ai/theme.js").headers["cache-control"] == "no-cache"


def test_an_etag_saves_the_bytes(client):
    first = client.get("/edge-ai/theme.js")
    for told in (first.headers["etag"], f'"other", W/{first.headers["etag"]}'):
        again = client.get("/edge-ai/theme.js", headers={"If-None-Match": told})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get("/edge-ai/theme.js", headers={"If-None-Match": '"other"'}).status_code == 200


def test_bytes_come_compressed_to_who_takes_them(client):
    with client.stream("GET", f"/edge-ai/{HASHED}", headers={"Accept-Encoding": "br, gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(answer.iter_raw())) == SCRIPT
    for told in ("identity", "gzip;q=0"):
        plain = client.get(f"/edge-ai/{HASHED}", headers={"Accept-Encoding": told})
        assert "content-encoding" not in plain.headers
        assert plain.content == SCRIPT


def test_the_policy_lets_nothing_in_from_elsewhere(client):
    for path in ("/edge-ai", f"/edge-ai/{HASHED}", "/edge-ai/gone.js"):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert all(set(value.split()) <= {"'self'", "'none'", "data:", "blob:"} for value in policy.values())
        assert headers["x-content-type-options"] == "nosniff"


def test_nothing_is_written_here(client):
    answer = client.post("/edge-ai")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_an_installation_without_pages_says_so(tmp_path):
    answer = TestClient(Pages(tmp_path), base_url="http://hub").get("/edge-ai")
    assert answer.status_code == 503
    assert "scripts/setup" in answer.text
