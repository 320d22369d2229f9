"""The device install opens, verifies and tests a bundle: nothing of the workshop is imported, nothing in it is run."""

import subprocess
import sys
from pathlib import Path

from edgewright.trust import SigningKey

PROGRAM = """
import sys

WORKSHOP = {"onnx", "onnx_ir", "onnxscript", "torch", "openvino", "sklearn", "skl2onnx", "scipy", "jinja2", "PIL",
            "cyclonedx", "packaging", "google", "jsonschema", "sympy"}

class NotHere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in WORKSHOP:
            raise ImportError(f"{name} is not on the device")

sys.meta_path.insert(0, NotHere())
from edgewright import bundles
from edgewright.trust import load_public_key
trusted = [load_public_key(sys.argv[2])]
bundle = bundles.open(sys.argv[1], trusted)
assert bundle.bom["bomFormat"] == "CycloneDX"
(result,) = bundles.self_test(bundle)
assert result.passed, result
from edgewright.cli import main
assert main(["bundle", "verify", sys.argv[1], "--key", sys.argv[2], "--self-test"]) == 0
assert main(["bundle", "show", sys.argv[1], "--key", sys.argv[2]]) == 0
for above in ("compression", "flows", "measurement", "reports", "advice", "formats", "graphs", "targets", "datasets"):
    assert f"edgewright.{above}" not in sys.modules, above
"""

WATCHED = """
import sys
from edgewright import bundles
from edgewright.trust import load_public_key

trusted = [load_public_key(sys.argv[2])]
bundles.open(sys.argv[1], trusted)  # imports what is imported lazily
ran = []
RUNS = {"exec", "compile", "import", "subprocess.Popen", "os.exec", "os.fork", "os.system", "pickle.find_class"}
sys.addaudithook(lambda event, arguments: ran.append((event, arguments)) if event in RUNS else None)
bundles.open(sys.argv[1], trusted)
assert not ran, ran
"""


def run(program: str, bundle: Path, key: SigningKey, folder: Path) -> None:
    (folder / "signer.pub").write_text(key.public.text())
    command = [sys.executable, "-c", program, str(bundle), str(folder / "signer.pub")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_with_the_core_install_alone(packed: Path, key: SigningKey, tmp_path: Path) -> None:
    run(PROGRAM, packed, key, tmp_path)


def test_opening_runs_nothing(pristine: Path, key: SigningKey, tmp_path: Path) -> None:
    run(WATCHED, pristine, key, tmp_path)
