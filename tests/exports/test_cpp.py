"""The C++ projects: built against OpenVINO's wheel and run; the ONNX Runtime one as far as can be without headers."""

import shutil
import subprocess

import pytest

from edgewright.core.errors import InputError
from edgewright.exports import export, make
from edgewright.testing.exports import CANARY, HOSTILE, check_hostile

here = pytest.mark.skipif(
    not (shutil.which("cmake") and (shutil.which("c++") or shutil.which("g++"))),
    reason="no CMake or no C++ compiler here",
)


def built(folder, run_in):
    from openvino.utils import get_cmake_path

    flags = "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Wconversion -Werror"
    run_in(["cmake", "-B", "build", f"-DOpenVINO_DIR={get_cmake_path()}", "-DCMAKE_BUILD_TYPE=Debug", flags], folder)
    run_in(["cmake", "--build", "build", "--parallel", "2"], folder)


@here
@pytest.mark.parametrize("which", ["openvino", "tiny", "mixed"])
def test_it_builds_and_answers_the_golden_calls(which, request, tmp_path, run_in):
    bundle = request.getfixturevalue(which)
    made = export(bundle, "cpp", tmp_path / "made")
    built(made.path, run_in)
    said = run_in(["./build/golden", "."], made.path)
    assert said.count("ok ") == len(bundle.content.golden.calls) * len(bundle.content.signature.outputs) + 1, said
    for file in sorted((made.path / "model").iterdir()):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        with pytest.raises(AssertionError, match="is not the file of the bundle"):
            run_in(["./build/golden", "."], made.path)
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    wrong = next((made.path / "golden").glob("0-output-0.bin"))
    wrong.write_bytes(bytes(len(wrong.read_bytes()) - 1) + b"\x40")
    with pytest.raises(AssertionError, match="FAILED"):
        run_in(["./build/golden", "."], made.path)


DIGESTS = """
#include "sha256.hpp"
#include <cstdio>
int main(int, char** arguments) { std::printf("%s", edgewright::sha256_of(arguments[1]).c_str()); }
"""


@here
def test_its_digests_are_those_of_sha256(tiny, tmp_path, run_in):
    from hashlib import sha256

    source = make(tiny, "cpp").files["src/sha256.hpp"]
    (tmp_path / "sha256.hpp").write_bytes(source)
    (tmp_path / "main.cpp").write_text(DIGESTS)
    run_in(["c++", "-std=c++17", "-fsanitize=undefined", "-fno-sanitize-recover", "main.cpp", "-o", "sum"], tmp_path)
    for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 65535, 65536, 200_000):
        data = bytes(i * 31 % 251 for i in range(size))
        (tmp_path / "data").write_bytes(data)
        assert run_in(["./sum", "data"], tmp_path) == sha256(data).hexdigest(), size


@here
@pytest.mark.parametrize("kind", ["cpp", "cpp-onnxruntime"])
def test_hostile_names_are_only_names(kind, tmp_path, run_in):
    """What is ours compiles; a program prints the names that went through the compiler."""
    made = check_hostile(kind, tmp_path / "sealed")
    folder = tmp_path / "made"
    for name, data in made.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "main.cpp").write_text(
        '#include "src/model.cpp"\n#include <cstdio>\nint main() {\n'
        "  for (auto& one : x_9_hostile_name_x_model::labels()) "
        'std::printf("%s%c", one.c_str(), 1);\n}\n'
        "std::unique_ptr<edgewright::Backend> edgewright::open_backend(const std::filesystem::path&, const "
        "std::vector<Port>&, const std::vector<Port>&, int, bool) { return nullptr; }\n"
    )
    run_in(["c++", "-std=c++17", "-Iinclude", "-Wall", "-Wextra", "-Werror", "main.cpp", "-o", "names"], folder)
    said = subprocess.run([folder / "names"], capture_output=True, check=True).stdout.decode()
    assert said.split("\1")[:-1] == [f"{CANARY}{text}" for text in HOSTILE]
    run_in(["c++", "-std=c++17", "-Iinclude", "-fsyntax-only", "-Wall", "-Werror", "tests/golden.cpp"], folder)


def test_the_engine_s_own_variant_goes_into_it(openvino, tiny):
    assert {"model/model.xml", "model/model.bin"} <= make(openvino, "cpp").files.keys()
    assert "may round otherwise" not in make(openvino, "cpp").files["README.md"].decode()
    assert "may round" in make(tiny, "cpp").files["README.md"].decode()
    for bundle in (openvino, tiny):
        made = make(bundle, "cpp-onnxruntime").files
        data = bundle.variant("onnxruntime").model.data
        assert data in [made[name] for name in made if name.startswith("model/")]


def test_a_model_in_another_precision_is_refused(tiny, tmp_path):
    from dataclasses import replace

    from edgewright.bundles import seal

    content = tiny.content
    (variant,) = content.variants
    half = replace(variant, options=replace(variant.options, precision="bf16"))
    sealed = seal(replace(content, variants=(half,)), tmp_path / "half")
    with pytest.raises(InputError, match="bf16"):
        make(sealed, "cpp-onnxruntime")
