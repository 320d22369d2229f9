"""Keys that the runtime trusts: files once, folders anew."""

import pytest

from edgewright.core.errors import InputError
from edgewright.runtime.trusted import Trusted
from edgewright.trust import SigningKey


def test_a_folders_keys_come_and_go(tmp_path):
    keys = [SigningKey.generate().public for _ in range(3)]
    (tmp_path / "one.pub").write_text(keys[0].text())
    folder = tmp_path / "keys"
    folder.mkdir()
    trusted = Trusted([tmp_path / "one.pub", folder])
    assert [*trusted] == keys[:1] and len(trusted) == 1
    (folder / "b.pub").write_text(keys[1].text())
    (folder / "a.pub").write_text(keys[2].text())
    assert [*trusted] == [keys[0], keys[2], keys[1]] and trusted[1] == keys[2]
    (folder / "b.pub").unlink()
    (tmp_path / "one.pub").unlink()
    assert [*trusted] == [keys[0], keys[2]]
    (folder / "c.pub").write_text("no key")
    with pytest.raises(InputError, match=r"c\.pub"):
        list(trusted)
    with pytest.raises(InputError):
        Trusted([tmp_path / "nowhere.pub"])
