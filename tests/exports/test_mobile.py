"""Android and iOS: parsed by the languages' grammars and the formats' readers; nothing compiles them here."""

import plistlib
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from hashlib import sha256

import pytest
import tree_sitter
import tree_sitter_kotlin
import tree_sitter_swift

from edgewright.bundles import seal
from edgewright.core.errors import InputError
from edgewright.exports import make
from edgewright.formats import convert
from edgewright.testing.exports import CANARY, HOSTILE, check_hostile

GRAMMARS = {
    ".kt": tree_sitter_kotlin.language(), ".kts": tree_sitter_kotlin.language(), ".swift": tree_sitter_swift.language(),
}  # fmt: skip


def parsed(name, data):
    tree = tree_sitter.Parser(tree_sitter.Language(GRAMMARS[name[name.rindex(".") :]])).parse(data)
    wrong = [node for node in walk(tree.root_node) if node.type == "ERROR" or node.is_missing]
    assert not wrong, [(name, node.start_point, node.text[:80]) for node in wrong]
    return tree.root_node


def walk(node):
    yield node
    for child in node.children:
        yield from walk(child)


def sources(made):
    return {name: data for name, data in made.files.items() if name[name.rindex(".") :] in GRAMMARS}


@pytest.mark.parametrize("kind, least", [("android", 6), ("ios", 4)])
@pytest.mark.parametrize("which", ["tiny", "hostile", "mixed"])
def test_every_source_is_of_its_language(kind, least, which, request, tmp_path):
    if which == "hostile":
        made = check_hostile(kind, tmp_path)
    elif which == "mixed" and kind == "ios":
        with pytest.raises(InputError, match="float64"):
            make(request.getfixturevalue("mixed"), kind)
        return
    else:
        made = make(request.getfixturevalue(which), kind)
    there = sources(made)
    assert len(there) >= least
    for name, data in there.items():
        parsed(name, data)


def literals(root, kinds):
    return [node.text.decode() for node in walk(root) if node.type in kinds]


def test_the_grammar_finds_what_is_wrong(tiny):
    (name,) = [name for name in sources(make(tiny, "android")) if name.endswith("/Model.kt")]
    with pytest.raises(AssertionError):
        parsed(name, make(tiny, "android").files[name].replace(b"fun infer(", b"fun infer"))


@pytest.mark.parametrize("kind, file", [("android", "Model.kt"), ("ios", "Model.swift")])
def test_hostile_names_are_only_names(kind, file, tmp_path):
    made = check_hostile(kind, tmp_path)
    (name,) = [name for name in made.files if name.endswith(f"/{file}")]
    root = parsed(name, made.files[name])
    strings = literals(root, {"string_literal", "line_string_literal"})
    labels = [one for one in strings if CANARY in one]
    assert len(labels) >= 2 * len(HOSTILE)
    assert not any(node.type.startswith("interpolat") and CANARY in node.text.decode() for node in walk(root))
    for text in labels:
        assert "\n" not in text and ("$" if kind == "android" else "\\(") not in text
    comments = literals(root, {"line_comment", "block_comment", "comment", "multiline_comment"})
    outside = made.files[name].decode()
    for one in (*strings, *comments):
        outside = outside.replace(one, "")
    assert all(re.fullmatch(r"zqx\w*", word) for word in re.findall(r"zqx\S*?(?=[^\w]|$)", outside))


def test_resources_are_read_by_their_readers(tiny):
    android, ios = make(tiny, "android"), make(tiny, "ios")
    manifest = ElementTree.fromstring(android.files["model/src/main/AndroidManifest.xml"])
    assert manifest.tag == "manifest" and not list(manifest)
    ((_, privacy),) = [pair for pair in ios.files.items() if pair[0].endswith(".xcprivacy")]
    assert plistlib.loads(privacy)["NSPrivacyTracking"] is False


@pytest.mark.parametrize("kind", ["android", "ios"])
def test_the_model_and_its_digest_are_the_bundle_s(kind, tiny):
    files = make(tiny, kind).files
    ((_, data),) = [pair for pair in files.items() if pair[0].endswith("/model.onnx")]
    assert data == tiny.variant().model.data
    told = b"".join(data for name, data in files.items() if "/Model." in name)
    assert sha256(data).hexdigest().encode() in told and tiny.digest.encode() in told
    golden = [name for name in files if "/golden/" in name]
    tests = b"".join(data for name, data in files.items() if "GoldenTest" in name).decode()
    assert golden and all(f'"{name.rpartition("/")[2]}"' in tests for name in golden)


@pytest.mark.parametrize("kind", ["android", "ios"])
def test_a_provider_other_than_the_cpu_is_refused(kind, tiny, tmp_path):
    (variant,) = tiny.content.variants
    other = replace(variant, options=replace(variant.options, provider="cuda"))
    sealed = seal(replace(tiny.content, variants=(other,)), tmp_path / "cuda")
    with pytest.raises(InputError, match="CPU"):
        make(sealed, kind)


@pytest.mark.parametrize("kind", ["android", "ios", "cpp-onnxruntime"])
def test_a_model_in_ort_format_keeps_its_name(kind, tiny, tmp_path):
    (variant,) = tiny.content.variants
    other = replace(variant, model=convert(variant.model, "ort"))
    made = make(seal(replace(tiny.content, variants=(other,)), tmp_path / "ort"), kind)
    assert [name for name in made.files if name.endswith("/model.ort")]
    if kind == "ios":
        assert b'withExtension: "ort"' in b"".join(data for name, data in made.files.items() if "/Model.swift" in name)


@pytest.mark.parametrize("kind", ["android", "ios"])
def test_a_bundle_for_openvino_alone_is_refused(kind, openvino, tmp_path):
    (first, _) = openvino.content.variants
    sealed = seal(replace(openvino.content, variants=(first,)), tmp_path / "ir")
    with pytest.raises(InputError, match="needs the model as ort or onnx; the bundle holds it as openvino"):
        make(sealed, kind)
