"""``python -m edgewright.testing.oip URL``: hold a server to the Open Inference Protocol v2.

Exit status: 0 when nothing failed, 1 when something did, 2 when there was nothing to check.
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.testing.oip.case import Arrays, Case
from edgewright.testing.oip.contract import Result
from edgewright.testing.oip.runner import discover, run, table, unknown
from edgewright.testing.oip.wire import Target


def main(argv: list[str] | None = None) -> int:
    """Run the suite from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m edgewright.testing.oip", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("url", help="http://HOST:PORT, https://HOST:PORT or unix:/PATH")
    parser.add_argument(
        "--model", metavar="NAME", help="the model to ask (default: the first that the index says is ready)"
    )
    parser.add_argument(
        "--inputs", type=Path, metavar="FILE.npz", help="arrays by input name, where drawn ones do not do"
    )
    parser.add_argument("--extension", action="append", default=[], metavar="NAME", help="check it, announced or not")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="checks of these names, such as 'binary.*'")
    parser.add_argument("--token", default="", help="sent as Authorization: Bearer")
    parser.add_argument("--ca", default="", metavar="FILE", help="certificates to trust, for https")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="S", help="for each reply (default 10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    arguments = parser.parse_args(argv)
    try:
        target = Target.parse(arguments.url, arguments.token, arguments.ca)
        given = _inputs(arguments.inputs)
        server, models = discover(target, arguments.timeout)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot check {arguments.url}: {_why(error)}\n")
        return 2
    model = arguments.model or (models[0] if models else "")
    if not model:
        sys.stderr.write("the server tells no index of ready models: name one with --model\n")
        return 2
    announced = server.get("extensions")
    extensions = [*(announced if isinstance(announced, list) else []), *arguments.extension]
    case = Case(target, model, extensions, arguments.timeout, given)
    why = "" if model in models else unknown(case)
    if why:
        there = f"; ready are: {', '.join(models)}" if models else ""
        sys.stderr.write(f"cannot check the model {model!r}: {why}{there}\n")
        return 2
    results = list(run(case, arguments.only))
    if not results:
        sys.stderr.write(f"no check is named {arguments.only!r}\n")
        return 2
    told = f"{arguments.url}: {server.get('name', 'a server')} {server.get('version', '')}, model {model}"
    lots = ["its answers differ between equal requests (versions share them, or it draws lots): the values of answers "
            "are not compared; for one version of a split, serve it alone"] if case.varies else []  # fmt: skip
    sys.stdout.writelines(f"{line}\n" for line in (told, *lots, *table(results)))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(_report(arguments.url, server, model, results), indent=1), "utf-8")
    return 1 if any(result.outcome == "failed" for result in results) else 0


def _inputs(path: Path | None) -> Arrays | None:
    if path is None:
        return None
    with np.load(path, allow_pickle=False) as found:
        return {name: _object(found[name]) for name in found.files}


def _object(array: Any) -> Any:
    """Strings as BYTES are held here: an array of bytes objects."""
    if array.dtype.kind not in "US":
        return array
    made = np.empty(array.shape, object)
    flat = [v if isinstance(v, bytes) else v.encode() for v in array.ravel().tolist()]
    made.reshape(-1)[:] = flat
    return made


def _why(error: Exception) -> str:
    """A sentence, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); pass its authority by --ca"
    if isinstance(error, ssl.SSLError):
        return f"no TLS is spoken there ({error.reason or error}); is it http://?"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there; is the server running?"
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(error)


def _report(url: str, server: dict[str, Any], model: str, results: list[Result]) -> dict[str, Any]:
    return {
        "url": url,
        "server": server,
        "model": model,
        "results": [
            {"name": r.check.name, "group": r.check.group, "clause": r.check.clause, "title": r.check.title,
             "outcome": r.outcome, "why": r.why}
            for r in results
        ],
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
