"""``edgewright infer``: ask a served model, or a bundle or model file in this process, about files."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.cli._server import URLS, add_access, connected
from edgewright.core.errors import InputError

if TYPE_CHECKING:
    from edgewright.runtime.local import Local
    from edgewright.runtime.remote import Remote


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "server", metavar="URL_OR_PATH", help="http://HOST:PORT, https://HOST:PORT, unix:PATH, or a bundle or model"
    )
    parser.add_argument("model", metavar="MODEL", help="its name, NAME:VERSION, or - where there is only one")
    parser.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="an image, .npy, .npz, JSON; a request each"
    )
    parser.add_argument("--top", type=int, metavar="N", help="tell the N best classes")
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    parser.add_argument("--deadline-ms", type=float, metavar="MS", help="an answer that comes later is an error")
    parser.add_argument("--priority", type=int, metavar="N", help="1 is the most urgent")
    add_access(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when every file got an answer."""
    for name, least in (("top", 1), ("priority", 1), ("deadline_ms", 0)):
        value = getattr(arguments, name)
        if value is not None and not value >= least:
            raise InputError(f"--{name.replace('_', '-')} must be {least} or more, got {value}")
    with _peer(arguments) as peer:
        name, _, version = arguments.model.partition(":")
        name = _only(peer.models()) if name == "-" else name
        _ask(peer, name, version, arguments)
    return 0


def _ask(peer: Remote | Local, name: str, version: str, arguments: argparse.Namespace) -> None:
    from edgewright.cli._answers import classes_in, plain, shown, wanted_outputs
    from edgewright.cli._inputs import inputs_of

    told = peer.metadata(name, version)
    parameters: dict[str, Any] = {}
    if arguments.deadline_ms is not None:
        parameters["timeout"] = max(round(1e3 * arguments.deadline_ms), 1)
    if arguments.priority is not None:
        parameters["priority"] = arguments.priority
    wanted = wanted_outputs(told, arguments.top, peer.extensions)
    answers = []
    for path in arguments.files:
        inputs = inputs_of(path, told)
        begin = time.perf_counter()
        answered = peer.infer(name, inputs, version, parameters=parameters, outputs=wanted)
        took_ms = 1e3 * (time.perf_counter() - begin)
        classes = classes_in(answered, told, arguments.top, bool(wanted))
        if arguments.json:
            entry = {"file": str(path), "version": answered.version, "ms": took_ms, "outputs": plain(answered)}
            entry |= {"fail_safe": True} if answered.safe else {}
            answers.append(entry if classes is None else {**entry, "classes": classes})
        else:
            print("\n".join(shown(path, answered, classes, took_ms)), flush=True)
    if arguments.json:
        print(json.dumps({"model": name, "answers": answers}, allow_nan=False))


def _only(names: list[str]) -> str:
    if len(names) != 1:
        raise InputError(f"name the model; there are: {', '.join(names) or 'none'}")
    return names[0]


@contextlib.contextmanager
def _peer(arguments: argparse.Namespace) -> Iterator[Remote | Local]:
    if not arguments.server.startswith(URLS):
        if arguments.token_file is not None or arguments.ca is not None:
            raise InputError(f"--token-file and --ca are for servers, and {arguments.server} is no URL")
        from edgewright.runtime.local import Local

        if not Path(arguments.server).exists():
            raise InputError(f"there is nothing at {arguments.server}; a server is written as http://127.0.0.1:8000")
        with Local(Path(arguments.server)) as local:
            yield local
        return
    with connected(arguments) as client:
        yield client
