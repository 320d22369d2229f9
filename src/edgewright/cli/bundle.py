"""``edgewright bundle``: verify, show, pack and unpack what ships; name the user's own key."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.core.errors import EngineError, TrustError

if TYPE_CHECKING:
    from edgewright.bundles import Bundle, SelfTest


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the five actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, summary: str, path: str = "") -> argparse.ArgumentParser:
        found = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        found.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        if path:
            found.add_argument("path", type=Path, metavar=path, help="a bundle, as a folder or a single file")
            found.add_argument(
                "--key",
                action="append",
                type=Path,
                metavar="FILE.pub",
                help="trust this key, and not your own; repeatable",
            )
        return found

    verify = action("verify", "check that a trusted key signed exactly what is there", "PATH")
    verify.add_argument("--self-test", action="store_true", help="run the golden calls on this machine's engines too")
    show = action("show", "verify a bundle, then tell what is in it", "PATH")
    pack = action("pack", "verify a bundle, then write it as a single file", "PATH")
    pack.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.ewb", help="the file to write")
    unpack = action("unpack", "verify a bundle, then write it as a folder", "PATH")
    unpack.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the folder to write")
    key = action("key", "name your own public key, made on first use")
    for one in (verify, show, key):
        one.add_argument("--json", action="store_true", help="print JSON alone on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when all held, 1 when anything did not verify or the self-test failed."""
    if arguments.action == "key":
        return _key(arguments.json)
    as_json = getattr(arguments, "json", False)
    try:
        bundle = _open(arguments.path, arguments.key)
    except TrustError as error:
        if as_json:
            _print_json({"path": str(arguments.path), "verified": False, "reason": str(error)})
        raise TrustError(f"{arguments.path} does not verify: {error}") from error
    if arguments.action == "pack":
        bundle.pack(arguments.output)
        print(f"{arguments.output}  {arguments.output.stat().st_size:,} bytes")
    elif arguments.action == "unpack":
        bundle.write(arguments.output)
        print(f"{arguments.output}  {len(bundle.files)} files")
    elif arguments.action == "show":
        _show(bundle, as_json)
    else:
        return _verify(arguments.path, bundle, arguments.self_test, as_json)
    return 0


def _open(path: Path, keys: Iterable[Path] | None) -> Bundle:
    from edgewright import bundles
    from edgewright.trust import load_public_key

    return bundles.verify(path, None if keys is None else [load_public_key(key) for key in keys])


def _key(as_json: bool) -> int:
    from edgewright.trust import keys_folder, own_key

    key, path = own_key().public, keys_folder() / "own.pub"
    if as_json:
        _print_json({"id": key.id, "path": str(path)})
    else:
        _print_table([("key", key.id), ("file", str(path))])
    return 0


def _verify(path: Path, bundle: Bundle, test: bool, as_json: bool) -> int:
    from edgewright.bundles import self_test

    results = self_test(bundle) if test else ()
    if as_json:
        tests: dict[str, Any] = {"self_test": [result.to_json() for result in results]} if test else {}
        _print_json({"path": str(path), "verified": True, **_identity(bundle), **tests})
    else:
        print(f"{path}: verified")
        _print_table([*_identity(bundle).items(), *(("self-test", _verdict(result)) for result in results)])
    failed = [result for result in results if result.checked and not result.passed]
    if failed:
        raise EngineError(f"{path} verifies, but fails its self-test on {failed[0].engine}: {failed[0].reason}")
    if test and not any(result.checked for result in results):
        raise EngineError(f"{path} verifies, but cannot be tested here: {results[0].reason}")
    return 0


def _verdict(result: SelfTest) -> str:
    if not result.checked:
        return f"{result.engine}: not checked ({result.reason})"
    worst = max(result.worst.values(), default=0.0)
    return f"{result.engine} on {result.provider or '?'}: {'passed' if result.passed else 'FAILED'}" + (
        f", {100 * worst:.3g}% of the tolerance used" if result.passed else f" ({result.reason})"
    )


def _identity(bundle: Bundle) -> dict[str, str]:
    content = bundle.content
    return {"name": content.name, "version": content.version, "digest": bundle.digest, "signed_by": bundle.signer.id}


def _show(bundle: Bundle, as_json: bool) -> None:
    from edgewright.bundles.names import MANIFEST

    content = bundle.content
    if as_json:
        _print_json({"digest": bundle.digest, "signed_by": bundle.signer.id, **json.loads(bundle.files[MANIFEST])})
        return
    rows = [*_identity(bundle).items(), ("source", content.source), ("files", f"{len(bundle.files)}")]
    rows += [("size", f"{bundle.size_bytes:,} bytes")]
    for variant in content.variants:
        options = ", ".join(f"{name} {value}" for name, value in variant.options.to_json().items() if value != "")
        rows.append(("model", f"{variant.engine} {variant.engine_version}: {variant.model.format}, "
                              f"{variant.model.size_bytes:,} bytes; {options}"))  # fmt: skip
    rows += [("input", str(spec)) for spec in content.signature.inputs]
    rows += [("output", str(spec)) for spec in content.signature.outputs]
    rows += [("recipe", json.dumps(dict(step), sort_keys=True)) for step in content.recipe]
    if content.labels:
        rows.append(("labels", f"{len(content.labels)}: {', '.join(content.labels[:10])}"))
    rows += [("data", f"{fact.name} ({fact.role}, {fact.samples} samples) {fact.digest}") for fact in content.datasets]
    rows.append(("golden", f"{len(content.golden.calls)} calls"))
    rows += [("promise", f"{limit} on {content.contract.target}") for limit in content.contract.limits]
    rows += [(seen.kind, f"{name} {seen}") for name, seen in sorted(content.contract.measured.items())]
    rows += [("evidence", name) for name in sorted(content.evidence)]
    _print_table(rows)


def _print_table(rows: Iterable[tuple[str, str]]) -> None:
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name.ljust(width)}  {_printable(value)}")


def _printable(text: str) -> str:
    # A name in a bundle may hold terminal escapes; nobody's screen should obey them.
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, sort_keys=True))
