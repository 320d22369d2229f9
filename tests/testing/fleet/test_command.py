"""``python -m edgewright.testing.fleet`` against the small hub, and what it says in the end."""

import asyncio
import json
import signal
import sys

import pytest

from edgewright.testing.fleet.__main__ import main


def test_the_command_tells_what_became_of_the_fleet_and_ends_on_sigint(server_of, bundle, release, tmp_path):
    async def run():
        async with server_of(tmp_path) as server:
            server.release(bundle.path, bundle.digest, bundle.signer)
            (tmp_path / "tokens").write_text("\n".join(server.tokens(5)))
            words = ["--hub", server.url, "--tokens", tmp_path / "tokens", "--devices", "5", "--quick"]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "edgewright.testing.fleet", *map(str, words), "--state", str(tmp_path / "fleet"),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            await server.assign(release=release())
            while sum(told[-1].result == "committed" for told in server.heard.values()) < 5:
                assert b" s: " in await process.stderr.readline(), "a line a second or so"
            process.send_signal(signal.SIGINT)
            out, _ = await process.communicate()
            assert process.returncode == 0
            return json.loads(out)

    told = asyncio.run(run())
    assert told["devices"] == 5
    assert told["ended"][f"committed {bundle.digest[:12]}"]["devices"] == 5
    assert told["errors"] == {}


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["--hub", "http://127.0.0.1:1", "--devices", "1"], 2, "no address of a hub"),
        (["--hub", "https://127.0.0.1:1", "--devices", "1"], 2, "need a token each"),
        (["--hub", "https://127.0.0.1:1", "--devices", "1", "--faults", "x=1"], 2, "no fault and share"),
        (["--hub", "https://127.0.0.1:1", "--devices", "1", "--tokens", "nowhere"], 2, "no file of enrolment tokens"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(words, status, why, tmp_path, capsys):
    assert main([*words, "--state", str(tmp_path)]) == status
    assert why in capsys.readouterr().err
