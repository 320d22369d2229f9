"""Names: of a bundle's tensors and of itself, as the languages and platforms that are written for allow them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_LONGEST = 48


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PYTHON = _words(
    "false none true and as assert async await break case class continue def del elif else except finally for "
    "from global if import in is lambda match nonlocal not or pass raise return try type while with yield self "
    "cls np"
)
TYPESCRIPT = _words(
    "abstract any arguments as async await boolean break case catch class const constructor continue debugger "
    "declare default delete do else enum eval export extends false finally for from function get if implements "
    "import in instanceof interface is keyof let module namespace never new null number object of package private "
    "protected proto prototype public readonly require return set static string super switch symbol this throw "
    "true try type typeof undefined unique unknown var void while with yield"
)
CPP = _words(
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class "
    "compl concept const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype "
    "default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline "
    "int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public "
    "register reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch "
    "template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile "
    "wchar_t while xor xor_eq std linux unix main errno stdin stdout stderr"
)
KOTLIN = _words(
    "as break class continue do else false for fun if in interface is null object package return super this throw "
    "true try typealias typeof val var when while by catch constructor delegate dynamic field file finally get "
    "import init param property receiver set setparam value where"
)
SWIFT = _words(
    "actor any as associatedtype async await break case catch class continue default defer deinit do else enum "
    "extension fallthrough false fileprivate for func guard if import in indirect init inout internal is lazy let "
    "mutating nil nonisolated open operator override private protocol public repeat required rethrows return self "
    "some static struct subscript super switch throw throws true try type typealias unowned var weak where while"
)


def snake(text: str) -> str:
    """Letters, digits and single underscores of ASCII, in lower case, beginning with a letter; "x" for none."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lower()[:_LONGEST].strip("_")
    return words if words[:1].isalpha() else f"x_{words}".rstrip("_")


def pascal(text: str) -> str:
    """``snake`` as the name of a type."""
    return "".join(word[:1].upper() + word[1:] for word in snake(text).split("_"))


def camel(text: str) -> str:
    """``snake`` as the name of a variable in C's younger relatives."""
    whole = pascal(text)
    return whole[:1].lower() + whole[1:]


def label(text: str, longest: int = 40) -> str:
    """A DNS label (RFC 1123): lower case, digits and single hyphens, from a letter on, ``longest`` at most."""
    return snake(text).replace("_", "-")[:longest].rstrip("-")


def distinct(names: Sequence[str], reserved: Iterable[str] = ()) -> list[str]:
    """The names, none of them reserved and no two alike in any case: later ones get a number."""
    taken, found = set(reserved), []
    for name in names:
        one, number = name, 2
        while one.lower() in taken or one in taken:
            one, number = f"{name}_{number}", number + 1
        taken.add(one.lower())
        found.append(one)
    return found
