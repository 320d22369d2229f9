"""The services page: written by whoever may, seen by all of the tenant, and by two at once."""

PATH = "/api/edge/services"


def put(who, text, revision, status=200):
    return who.ask("PUT", PATH, status, json={"text": text, "revision": revision}).json()


def test_a_page_for_the_tenant_s_own_people(hub):
    assert hub.north.get(PATH) == {"text": "", "revision": 0, "by": "", "changed": None}
    told = put(hub.north, "On duty: Ann\r\nhttps://wiki.example.com\tü", 0)
    assert told["text"] == "On duty: Ann\nhttps://wiki.example.com\tü" and told["revision"] == 1
    viewer = hub.user("viewer", "viewer")
    assert viewer.get(PATH) == told and hub.south.get(PATH)["text"] == ""
    put(viewer, "mine", 1, status=403)
    assert put(hub.north, "", 1)["revision"] == 2


def test_two_who_write_at_once_do_not_undo_each_other(hub):
    put(hub.north, "first", 0)
    assert "somebody else" in put(hub.north, "second", 0, status=409)["detail"]
    assert hub.north.get(PATH)["text"] == "first"


def test_what_is_no_text(hub):
    put(hub.north, "a\x00b", 0, status=422)
    put(hub.north, "\x1b[31m", 0, status=422)
    put(hub.north, "x" * 20_001, 0, status=422)
