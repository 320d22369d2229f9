"""The C++ project on ONNX Runtime, whose headers no registry of ours carries."""

from __future__ import annotations

from edgewright.exports.contract import Limit
from edgewright.exports.kinds.cpp import cpp_files
from edgewright.exports.subject import Subject


class CppOnnxRuntime:
    """On ONNX Runtime's C interface."""

    title = "a C++17 project that runs the model with ONNX Runtime, without a server"
    needs = "CMake 3.18, a C++17 compiler, a release of ONNX Runtime from 1.16 on."
    tested = ""
    untested = (
        "Our tests do not compile the file that calls ONNX Runtime, as no package registry that they use carries its "
        "headers. It was built and its golden calls run once, by hand (ONNX Runtime 1.31, Linux on x86-64, GCC 12)."
    )
    limit: Limit | None = None

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for a bundle whose model is neither ONNX nor in ORT format."""
        return cpp_files(subject, self, "onnxruntime", ("onnx", "ort"))
