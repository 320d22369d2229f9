"""Code: nothing in what ships brings code of its own - standard operators only, no scripts, no data from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from edgewright.core.errors import InputError
from edgewright.core.files import safe_name
from edgewright.core.model import Model
from edgewright.flows.gates.case import Case
from edgewright.flows.gates.finding import Finding, failed, passed, unchecked

_SUFFIXES = frozenset(
    {".py", ".pyc", ".pyd", ".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".so", ".dll", ".dylib", ".exe",
     ".sh", ".bat", ".cmd", ".ps1", ".js", ".jar", ".whl", ".zip"}
)  # fmt: skip
_HEADS = {
    b"\x7fELF": "a program (ELF)", b"MZ": "a program (PE)", b"#!": "a script", b"PK\x03\x04": "an archive",
    b"\x80\x02": "a pickle", b"\x80\x03": "a pickle", b"\x80\x04": "a pickle", b"\x80\x05": "a pickle",
    b"\xcf\xfa\xed\xfe": "a program (Mach-O)",
}  # fmt: skip
"""First bytes of what executes, or may when it is read. Data that begins so by chance is told by name as well."""


def judge(heads: Mapping[str, bytes], main: str, outside: Sequence[str], operators: Mapping[str, int],
          custom: str = "") -> Finding:  # fmt: skip
    """``heads``: the first bytes of every file; ``outside``: external data that is not among them; ``operators``: how
    many of each domain; ``custom``: what is wrong with an operator, "" if nothing is."""
    evidence = {"files": sorted(heads), "domains": dict(operators), "outside": list(outside)}
    if custom:
        return failed(custom, **evidence)
    for name in sorted(heads):
        try:
            safe_name(name)
        except InputError as error:
            return failed(f"a file's name leaves its folder: {error}", **evidence)
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in _SUFFIXES:
            return failed(f"{name} is a kind of file that may carry code ({suffix})", **evidence)
        kind = next((what for head, what in _HEADS.items() if heads[name].startswith(head)), "")
        if kind and name != main:
            return failed(f"{name} begins like {kind}", **evidence)
    if outside:
        return failed(f"its external data {outside[0]!r} is not among its files", **evidence)
    told = ", ".join(f"{count} of {domain}" for domain, count in operators.items()) or "none listed"
    return passed(f"operators of known domains only ({told}); {len(heads)} files, none of them code", **evidence)


def check(case: Case) -> Finding:
    """Read the candidate's own files."""
    model = case.candidate.model
    if model.format == "onnx":
        return _onnx(model)
    return unchecked(f"operators of a model in {model.format} format are not listed")


def _onnx(model: Model) -> Finding:
    from edgewright.formats.onnx import parse
    from edgewright.formats.onnxcheck import check_operators, every_node
    from edgewright.formats.onnxtensors import external_names

    proto = parse(model.data)
    outside = [name for name in external_names(proto) if name not in model.files]
    domains: dict[str, int] = {}
    for nodes in (proto.graph.node, *(function.node for function in proto.functions)):
        for node in every_node(nodes, "the model"):
            domain = node.domain or "ai.onnx"
            domains[domain] = domains.get(domain, 0) + 1
    custom = ""
    try:
        check_operators(proto, "the model")
    except InputError as error:
        custom = str(error)
    return judge({n: data[:8] for n, data in model.files.items()}, model.main, outside, domains, custom)
