"""What people take away: made once, the same bytes, until it expires; links that open one thing until a moment."""

import hashlib
import io
import zipfile
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from edgewright.core.child import ChildError
from edgewright.exports import EXPORTS, catalogue, export
from edgewright.hub import artifacts, library, plans
from edgewright.hub.artifacts import exporting
from edgewright.hub.database import EVERY
from edgewright.hub.objects import objects, sweep, work_folder
from edgewright.hub.serving import keep

PATH = "/api/edge/artifacts"


def later(hub, clock, **by):
    """Sessions end before artifacts do."""
    clock.go_on(**by)
    hub.north = hub.log_in_again("north")


def made(hub, bundle, kind="python", status=201, **more):
    return hub.north.post(PATH, {"bundle": bundle.digest, "kind": kind, **more}, status)


def file_of(hub, told):
    return hub.north.ask("GET", f"{PATH}/{told['id']}/download", 200)


def link_of(hub, told, **wish):
    return hub.north.post(f"{PATH}/{told['id']}/link", wish)


def path_of(link):
    found = urlsplit(link["url"])
    return f"{found.path}?{found.query}"


def test_it_is_what_the_command_line_makes(hub, bundle, tmp_path):
    told = made(hub, bundle)
    answer = file_of(hub, told)
    packed = tmp_path / "bundle.ewb"
    packed.write_bytes(bundle.data)
    export(packed, "python", tmp_path / "out.zip", (bundle.key.public,))
    assert answer.content == (tmp_path / "out.zip").read_bytes()
    assert told["file"] == hashlib.sha256(answer.content).hexdigest() and told["length"] == len(answer.content)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="classifier-1.0.0-python.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
        assert "README.md" in opened.namelist() and len(opened.namelist()) == told["files"]
        assert sum(one.file_size for one in opened.infolist()) == told["size_bytes"]
    assert told["verified"] and told["fits"] and told["limit"]["size_bytes"] == 10**8 and told["job"] is None
    assert list(work_folder(hub.state).iterdir()) == []


@pytest.mark.parametrize("kind", list(EXPORTS))
def test_each_kind_is_made_and_says_whether_it_was_verified(hub, bundle, kind):
    told, (wanted,) = made(hub, bundle, kind), [one for one in catalogue() if one["kind"] == kind]
    assert told["verified"] == wanted["verified"] and told["limit"] == wanted["limit"]
    assert zipfile.ZipFile(io.BytesIO(file_of(hub, told).content)).testzip() is None


def test_the_catalogue_is_that_of_the_command_line_and_two_more(hub):
    items = hub.north.get(f"{PATH}/kinds")["items"]
    assert [one["kind"] for one in items] == ["bundle", "report", *EXPORTS]
    assert [one["of"] for one in items] == ["bundle", "job", *["bundle"] * len(EXPORTS)]
    ios = items[[one["kind"] for one in items].index("ios")]
    assert not ios["verified"] and ios["tested"] == "" and ios["limit"]["size_bytes"] == 4 * 10**9


def test_the_same_again_is_not_made_again_and_kept_longer(hub, bundle, clock, monkeypatch):
    first = made(hub, bundle)
    monkeypatch.setattr(exporting, "run_child", None)
    later(hub, clock, days=2)
    again = made(hub, bundle, status=200)
    assert again["id"] == first["id"] and again["made"] == first["made"] and again["until"] > first["until"]
    assert made(hub, bundle, status=200, days=1)["until"] == again["until"]
    assert hub.north.get(PATH)["items"] == [again]


def test_a_bundle_is_the_librarys_own_file_and_takes_no_room(hub, bundle):
    told = made(hub, bundle, "bundle")
    assert file_of(hub, told).content == bundle.data and told["filename"] == "classifier-1.0.0.ewb"
    assert [one.name for one in objects(hub.state).list(hub.tenants["north"])] == [f"bundles/{bundle.file}"]
    used = {one["what"]: one["used"] for one in hub.north.get("/api/edge/plan")["limits"]}["storage_bytes"]
    assert used == len(bundle.data)


def test_a_report_is_a_page_and_its_json(hub, report):
    told = hub.north.post(PATH, {"job": report, "kind": "report"})
    with zipfile.ZipFile(io.BytesIO(file_of(hub, told).content)) as opened:
        assert opened.namelist() == ["report.html", "report.json"] and opened.read("report.json") == b'{"schema": 1}'
    assert (told["job"], told["bundle"], told["name"]) == (report, None, "classifier")


def test_lists_tell_the_newest_first_and_filter(hub, bundle, library, make):
    other = make("1.0.1")
    library.upload(other)
    found = [made(hub, one, kind) for one, kind in ((bundle, "python"), (bundle, "systemd"), (other, "python"))]
    listed = hub.north.get(f"{PATH}?limit=2")
    assert listed["items"] == [found[2], found[1]]
    assert hub.north.get(f"{PATH}?limit=2&cursor={listed['next']}")["items"] == found[:1]
    assert hub.north.get(f"{PATH}?kind=python")["items"] == [found[2], found[0]]
    assert hub.north.get(f"{PATH}?bundle={bundle.digest}&kind=systemd")["items"] == [found[1]]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"kind": "toaster"}, 422, "is no kind of artifact; there are: bundle, report, android"),
        ({"kind": "python"}, 422, "is made of a bundle"),
        ({"kind": "python", "job": "job_" + "1" * 26}, 422, "is made of a bundle"),
        ({"kind": "report", "bundle": "ab" * 32}, 422, "is made of a job"),
        ({"kind": "python", "bundle": "ab" * 32, "job": "job_" + "1" * 26}, 422, "and nothing else"),
        ({"kind": "python", "bundle": "ab" * 32}, 404, "there is no bundle"),
        ({"kind": "report", "job": "job_" + "1" * 26}, 404, "there is no job"),
        ({"kind": "../x", "bundle": "ab" * 32}, 422, ""),
        ({"kind": "python", "bundle": "ab" * 32, "days": 0}, 422, ""),
        ({"kind": "python", "bundle": "ab" * 32, "days": 10**9}, 422, ""),
    ],
)
def test_what_there_is_not_is_not_made(hub, body, status, says):
    assert says in hub.north.ask("POST", PATH, status, json=body).text
    assert hub.north.get(PATH)["items"] == []


def test_a_job_without_a_report_has_none(hub, report):
    from edgewright.hub.jobs.tables import Job

    with hub.state.database.write(hub.tenants["north"]) as session:
        row = session.find(Job, report)
        row.report = row.page = ""
    assert "no report yet" in hub.north.ask("POST", PATH, 409, json={"job": report, "kind": "report"}).text


def test_of_a_bundle_that_was_removed_nothing_new_is_made_and_what_is_there_stays(hub, bundle, clock):
    told, whole = made(hub, bundle), made(hub, bundle, "bundle")
    hub.north.ask("DELETE", f"/api/edge/bundles/{bundle.digest}", 204)
    made(hub, bundle, status=404)
    made(hub, bundle, "bundle", status=404)
    later(hub, clock, days=2)
    sweep(hub.state, clock.now + timedelta(days=2), (library.named, artifacts.named))
    assert file_of(hub, told).status_code == 200 and file_of(hub, whole).content == bundle.data


def test_a_bundle_that_an_export_cannot_be_made_of_says_why(hub, bundle, monkeypatch):
    def fails(*_, **__):
        raise ChildError("it ran past its time")

    monkeypatch.setattr(exporting, "run_child", fails)
    answer = hub.north.ask("POST", PATH, 422, json={"bundle": bundle.digest, "kind": "python"})
    assert "make it with: edgewright export" in answer.json()["detail"]
    assert hub.north.get(PATH)["items"] == [] and list(work_folder(hub.state).iterdir()) == []


@pytest.mark.parametrize(
    "told", [None, {}, {"files": 1}, {"files": "1", "size_bytes": 1}, {"files": 1, "size_bytes": -1}]
)
def test_what_the_child_answers_is_held_against_what_it_may(hub, bundle, monkeypatch, told):
    run = exporting.run_child
    monkeypatch.setattr(exporting, "run_child", lambda *a, **how: (run(*a, **how), told)[1])
    answer = hub.north.ask("POST", PATH, 422, json={"bundle": bundle.digest, "kind": "python"})
    assert "makes no sense" in answer.json()["detail"]


def test_a_bundle_that_was_changed_in_the_store_is_not_exported(hub, bundle):
    place = objects(hub.state).folder / hub.tenants["north"] / "bundles" / bundle.file
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(bytes(data))
    answer = hub.north.ask("POST", PATH, json={"bundle": bundle.digest, "kind": "python"})
    assert 400 <= answer.status_code < 500 and hub.north.get(PATH)["items"] == []


def test_a_plan_bounds_what_is_kept(hub, bundle):
    plans.set_plan(hub.state, "north", f"storage_bytes={len(bundle.data) + 10}")
    assert "bytes of models" in hub.north.ask("POST", PATH, 402, json={"bundle": bundle.digest, "kind": "python"}).text
    made(hub, bundle, "bundle")


def test_it_expires_and_its_bytes_go(hub, bundle, clock):
    told = made(hub, bundle, days=1)
    later(hub, clock, hours=23)
    assert file_of(hub, told).status_code == 200
    clock.go_on(hours=1)
    for verb, path in (("GET", ""), ("GET", "/download"), ("DELETE", "")):
        hub.north.ask(verb, f"{PATH}/{told['id']}{path}", 404)
    hub.north.ask("POST", f"{PATH}/{told['id']}/link", 404, json={})
    assert hub.north.get(PATH)["items"] == []
    with hub.state.database.write(EVERY) as session:
        artifacts.forget(session, clock.now)
    name = f"artifacts/{told['file']}"
    with hub.state.database.read(hub.tenants["north"]) as session:
        assert artifacts.named(session, None) == set()
    for _ in range(2):
        clock.go_on(days=9)
        assert keep(hub.state)
    assert name not in {one.name for one in objects(hub.state).list(hub.tenants["north"])}


class TestLinks:
    def test_whoever_has_one_downloads_it_and_that_is_told(self, hub, bundle):
        told = made(hub, bundle)
        link = link_of(hub, told, hours=2)
        assert link["url"].startswith(f"http://hub{PATH}/{told['id']}/download?until=")
        assert hub.nobody.ask("GET", path_of(link), 200).content == file_of(hub, told).content
        lines = hub.north.get("/api/edge/audit")["items"]
        mine = [(one["action"], one["actor"]["kind"]) for one in lines if one["subject"] == told["id"]]
        assert mine == [("artifact.fetched", "link"), ("artifact.linked", "user"), ("artifact.made", "user")]
        assert not any(parse_qs(urlsplit(link["url"]).query)["key"][0] in str(one) for one in lines)

    def test_it_holds_until_its_moment_and_no_longer(self, hub, bundle, clock):
        link = link_of(hub, made(hub, bundle), hours=2)
        clock.go_on(hours=2, seconds=-1)
        hub.nobody.ask("GET", path_of(link), 200)
        clock.go_on(seconds=1)
        assert "it expired, or is not whole" in hub.nobody.ask("GET", path_of(link), 403).text

    def test_it_ends_with_its_artifact(self, hub, bundle, clock):
        told = made(hub, bundle, days=1)
        link = link_of(hub, told, hours=720)
        assert link["until"] == told["until"]
        hub.north.ask("DELETE", f"{PATH}/{told['id']}", 204)
        hub.nobody.ask("GET", path_of(link), 404)

    @pytest.mark.parametrize("change", ["until", "key", "cut", "tenant", "artifact", "none", "empty", "letters"])
    def test_one_that_was_changed_opens_nothing(self, hub, bundle, change):
        told, other = made(hub, bundle), made(hub, bundle, "systemd")
        query = {name: one for name, (one,) in parse_qs(urlsplit(link_of(hub, told)["url"]).query).items()}
        artifact = other["id"] if change == "artifact" else told["id"]
        tenant, mac = query["key"].split(".")
        changed = {
            "until": {"until": str(int(query["until"]) + 1)},
            "key": {"key": f"{tenant}.{'A' if mac[0] != 'A' else 'B'}{mac[1:]}"}, "cut": {"key": query["key"][:-1]},
            "tenant": {"key": f"{hub.tenants['south'][4:]}.{mac}"}, "empty": {"key": ""}, "letters": {"key": "é.ü"},
        }.get(change, {})  # fmt: skip
        query |= changed
        status = 403
        if change == "none":
            query, status = {"until": query["until"]}, 401
        assert "bundle" not in hub.nobody.ask("GET", f"{PATH}/{artifact}/download", status, params=query).text

    def test_who_is_logged_in_elsewhere_gets_nothing_by_their_credential(self, hub, bundle):
        told = made(hub, bundle)
        hub.south.ask("GET", f"{PATH}/{told['id']}/download", 404)
        hub.south.ask("POST", f"{PATH}/{told['id']}/link", 404, json={})
        hub.south.ask("DELETE", f"{PATH}/{told['id']}", 404)
        hub.south.ask("POST", PATH, 404, json={"bundle": bundle.digest, "kind": "python"})
        assert hub.south.get(PATH)["items"] == []

    def test_another_hub_makes_other_links(self, hub, bundle, tmp_path):
        from edgewright.hub.secrets import Safe

        assert Safe.at(tmp_path / "a").derive("x") != Safe.at(tmp_path / "b").derive("x")
        assert hub.state.safe.derive("x") != hub.state.safe.derive("y")
