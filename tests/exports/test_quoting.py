"""Whatever a name holds, it comes out of the other language's own reader as it went in."""

import ast
import json
import re
import shlex
import tomllib
import xml.etree.ElementTree as ElementTree

import pytest
import tree_sitter
import tree_sitter_kotlin
import tree_sitter_swift
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgewright.exports import quoting
from edgewright.exports.names import CPP, KOTLIN, PYTHON, SWIFT, TYPESCRIPT, camel, distinct, label, pascal, snake
from edgewright.exports.quoting import QUOTES, Code
from edgewright.exports.rendering import render

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    [
        '"',
        "\\",
        '\\\\"',
        "${x}",
        "\\(x)",
        "\\f\f",
        "'''",
        '"""',
        "*/",
        "??/",
        "\0",
        "\u2028",
        "\x85",
        "\ufeff",
        "\U0001f600",
        "#{x}",
    ]
)


@given(TEXTS)
def test_readers_give_it_back(text):
    assert ast.literal_eval(quoting.python(text)) == text
    assert json.loads(quoting.javascript(text)) == text
    assert yaml.safe_load(quoting.yaml(text)) == text
    assert tomllib.loads(f"a = {quoting.yaml(text)}")["a"] == text
    for name, quote in QUOTES.items():
        if name not in ("raw", "shell"):
            assert (len(quote(text).splitlines()) <= 1 and quote(text).isprintable()) or name in ("xml", "markdown")
            assert not re.search(r"[\r\n\x00]", quote(text))


@given(TEXTS)
def test_a_c_string(text):
    body = quoting.cpp(text)
    assert re.fullmatch(r'"(?:[ !#->@-\[\]-~]|\\[0-7]{3})*"', body)
    raw = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), body[1:-1])
    assert raw.encode("latin-1").decode() == text


@given(TEXTS)
def test_kotlin_and_swift_read_one_string(text):
    for language, source, kinds in (
        (tree_sitter_kotlin, f"val x = {quoting.kotlin(text)}\n", {"string_literal"}),
        (tree_sitter_swift, f"let x = {quoting.swift(text)}\n", {"line_string_literal"}),
    ):
        tree = tree_sitter.Parser(tree_sitter.Language(language.language())).parse(source.encode())
        found, nodes = [], [tree.root_node]
        while nodes:
            node = nodes.pop()
            assert not node.type.startswith("interpol") and node.type != "ERROR", source
            found += [node] if node.type in kinds else []
            nodes += node.children
        assert len(found) == 1 and found[0].text.decode() == source[8:-1]
    assert json.loads(quoting.kotlin(text)) == text


@given(TEXTS)
def test_xml_and_a_shell(text):
    plain = "".join(c if c.isprintable() else "?" for c in text)
    element = ElementTree.fromstring(f'<a b="{quoting.xml(text)}">{quoting.xml(text)}</a>')
    assert (element.text or "") == plain == element.attrib["b"]
    assert shlex.split(quoting.shell(plain)) == [plain]
    if plain != text:
        with pytest.raises(ValueError, match="one word"):
            quoting.shell(text)


@given(TEXTS)
def test_a_comment_ends_nothing(text):
    for end in ("*/", "-->", "\n", '"""', "`", "$", "<", "@", "\\"):
        assert end not in quoting.comment(text)


@given(TEXTS)
def test_markdown_is_text(text):
    body = quoting.markdown(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`<|]", re.sub(r"\\.", "", body))


def test_only_code_is_raw():
    assert quoting.raw(Code("x")) == "x"
    with pytest.raises(ValueError, match="name how it is to be quoted"):
        quoting.raw("x")


@pytest.mark.parametrize("template", ["@@x@@", "@@x|nothing@@", "@@y|raw@@", "@@ x|raw@@", "@@x|raw@@ @@", "@@"])
def test_a_place_that_is_none_is_an_error(template):
    with pytest.raises(ValueError, match="here"):
        render(template, {"x": Code("1")}, "here")


def test_what_was_filled_in_is_not_looked_at_again():
    assert render("@@x|python@@", {"x": "@@y|raw@@", "y": Code("!")}) == '"@@y|raw@@"'


@given(st.lists(TEXTS, max_size=8))
def test_names_are_names(texts):
    for style, reserved in ((snake, PYTHON), (snake, CPP), (camel, TYPESCRIPT), (camel, KOTLIN), (camel, SWIFT)):
        names = distinct([style(text) for text in texts], reserved)
        assert len({name.lower() for name in names}) == len(texts) and not set(names) & reserved
        assert all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", name) for name in names)
    for text in texts:
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", label(text))
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", pascal(text))


@pytest.mark.parametrize(
    "given_, wanted", [("image", "image"), ("serving_default:0", "serving_default_0"), ("Größe", "groe"), ("", "x")]
)
def test_snake(given_, wanted):
    assert snake(given_) == wanted
