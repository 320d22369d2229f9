// The golden calls against a server: EDGEWRIGHT_URL names it, EDGEWRIGHT_MODEL what the model is called there.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Client, INPUTS, MODEL, OUTPUTS } from "../src/index.ts";
import { Protocol, unpack } from "../src/protocol.ts";

const url = process.env["EDGEWRIGHT_URL"] ?? "";
const model = process.env["EDGEWRIGHT_MODEL"] ?? MODEL;
const golden = new URL("../golden/", import.meta.url);

function arrays(told) {
  return told.map((one) => {
    const file = readFileSync(new URL(one.file, golden));
    const raw = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
    return [one.name, unpack(raw, one.datatype, one.shape)];
  });
}

function near(got, want, tolerance) {
  assert.deepEqual([...got.shape], [...want.shape]);
  assert.equal(got.data.length, want.data.length);
  for (let i = 0; i < want.data.length; i += 1) {
    if (tolerance && Number.isFinite(want.data[i])) {
      const allowed = tolerance.absolute + tolerance.relative * Math.abs(want.data[i]);
      assert.ok(Math.abs(got.data[i] - want.data[i]) <= allowed, `${got.data[i]} is not ${want.data[i]}`);
    } else {
      assert.equal(got.data[i], want.data[i]);
    }
  }
}

test("every golden call is answered as where the bundle was sealed", { skip: !url && "set EDGEWRIGHT_URL" }, async () => {
  const index = JSON.parse(readFileSync(new URL("golden.json", golden), "utf8"));
  const client = new Client(url, { model });
  const protocol = new Protocol(url, model);
  await client.verify();
  assert.ok(await client.ready());
  for (const call of index.calls) {
    const inputs = new Map(arrays(call.inputs));
    const { outputs } = await protocol.infer(INPUTS, INPUTS.map((one) => inputs.get(one.name)), { deadlineMs: 60_000 });
    for (const [name, want] of arrays(call.outputs)) near(outputs.get(name), want, index.tolerances[name]);
    const typed = Object.values(await client.infer(client.inputs([...inputs.values()])));
    OUTPUTS.forEach((one, at) => near(typed[at], outputs.get(one.name), null));
  }
});
