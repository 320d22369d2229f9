/** The Open Inference Protocol v2 over HTTP, with its binary extension: fetch, and nothing else. */

/** Numbers of one tensor, rows first. FP16 and BF16 are their 16 bits, BOOL is 0 or 1, BYTES are texts or bytes. */
export type Data =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | readonly (string | Uint8Array)[];

/** A tensor's numbers and its sizes. */
export interface NdArray<T extends Data = Data> {
  readonly data: T;
  readonly shape: readonly number[];
}

/** An input or output: null is an open size, equal names are equal sizes. */
export interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | string | null)[];
}

/** `deadlineMs` counts from when the server has the request; `priority` 1 is the most urgent. */
export interface Asked {
  readonly deadlineMs?: number;
  readonly priority?: number;
  readonly requestId?: string;
}

export interface Answer {
  readonly outputs: ReadonlyMap<string, NdArray>;
  /** The outputs were declared for a missed deadline, and not computed. */
  readonly failSafe: boolean;
  readonly requestId: string;
}

export interface Options {
  /** What the model is called where it is served. */
  readonly model?: string;
  readonly version?: string;
  /** Sent as a bearer token. */
  readonly token?: string;
  /** The longest wait for an answer, in ms; 30,000 by default. */
  readonly timeoutMs?: number;
  /** Another fetch, for a socket or certificates of your own. */
  readonly fetch?: typeof fetch;
}

/** Base of every error that this client throws on purpose. */
export class ClientError extends Error {
  constructor(message?: string) {
    super(message);
    this.name = new.target.name;
  }
}
/** What was passed is not what the model takes. Nothing was sent. */
export class UnfitInputError extends ClientError {}
/** Nobody answers there, or the connection broke. */
export class UnreachableError extends ClientError {}
/** The server answers with another model than the one that this client was made for. */
export class WrongModelError extends ClientError {}
/** The server answered with an error: `status` as in HTTP, and its sentence. */
export class RefusedError extends ClientError {
  readonly status: number;
  constructor(status: number, why: string) {
    super(`${status}: ${why}`);
    this.status = status;
  }
}
/** A token is needed (401), or this one's roles do not allow it (403). */
export class ForbiddenError extends RefusedError {}
/** Not ready, overloaded, or not to be done in time (503). `retryAfterS`: when to come again, if told. */
export class BusyError extends RefusedError {
  readonly retryAfterS: number | null;
  constructor(status: number, why: string, retryAfterS: number | null) {
    super(status, why);
    this.retryAfterS = retryAfterS;
  }
}
/** The deadline passed before there was an answer (504). */
export class LateError extends RefusedError {}

type Numbers = Exclude<Data, readonly (string | Uint8Array)[]>;
const ARRAYS: Readonly<Record<string, { new (buffer: ArrayBuffer): Numbers; readonly BYTES_PER_ELEMENT: number }>> = {
  BOOL: Uint8Array, UINT8: Uint8Array, UINT16: Uint16Array, UINT32: Uint32Array, UINT64: BigUint64Array,
  INT8: Int8Array, INT16: Int16Array, INT32: Int32Array, INT64: BigInt64Array, FP16: Uint16Array,
  BF16: Uint16Array, FP32: Float32Array, FP64: Float64Array,
};
const LENGTH = "Inference-Header-Content-Length";

function count(shape: readonly number[]): number {
  return shape.reduce((all, size) => all * size, 1);
}

/** One served model. */
export class Protocol {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;

  constructor(url: string, model: string, options: Options = {}) {
    if (!/^https?:\/\/[^/]/.test(url)) throw new UnfitInputError(`${url} is no address; write http://HOST:PORT`);
    const version = options.version ? `/versions/${encodeURIComponent(options.version)}` : "";
    this.#url = `${url.replace(/\/+$/, "")}/v2/models/${encodeURIComponent(model)}${version}`;
    this.#headers = options.token ? { Authorization: `Bearer ${options.token}` } : {};
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#fetch = options.fetch ?? fetch;
  }

  /** Whether the model answers now. */
  async ready(): Promise<boolean> {
    const reply = await this.#ask("/ready", {});
    await reply.arrayBuffer();
    return reply.ok;
  }

  /** What the server tells of the model. */
  async metadata(): Promise<Record<string, unknown>> {
    const reply = await this.#ask("", {});
    return told(reply, new Uint8Array(await body(reply)));
  }

  /** Send `inputs`, which fit `tensors`; all outputs, in binary. */
  async infer(tensors: readonly Tensor[], inputs: readonly NdArray[], asked: Asked = {}): Promise<Answer> {
    check(tensors, inputs);
    const parameters: Record<string, unknown> = { binary_data_output: true };
    if (asked.deadlineMs !== undefined) {
      if (!(Number.isFinite(asked.deadlineMs) && asked.deadlineMs > 0)) {
        throw new UnfitInputError(`a deadline is a number of ms above 0, not ${asked.deadlineMs}`);
      }
      parameters["timeout"] = Math.max(1, Math.ceil(asked.deadlineMs * 1000));
    }
    if (asked.priority) parameters["priority"] = asked.priority;
    const raws = inputs.map((one) => pack(one.data));
    const entries = tensors.map((one, at) => ({
      name: one.name,
      datatype: one.datatype,
      shape: inputs[at]!.shape,
      parameters: { binary_data_size: raws[at]!.length },
    }));
    const head = { ...(asked.requestId ? { id: asked.requestId } : {}), inputs: entries, parameters };
    const text = new TextEncoder().encode(JSON.stringify(head));
    const sent = joined([text, ...raws]);
    const headers = { "Content-Type": "application/octet-stream", [LENGTH]: String(text.length) };
    const reply = await this.#ask("/infer", { method: "POST", headers, body: sent });
    return answer(reply, await body(reply));
  }

  async #ask(path: string, request: RequestInit): Promise<Response> {
    const headers = { ...this.#headers, ...(request.headers as Record<string, string> | undefined) };
    try {
      return await this.#fetch(`${this.#url}${path}`, {
        ...request,
        headers,
        redirect: "error",
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
    } catch (error) {
      throw new UnreachableError(`the server did not answer: ${why(error)}`);
    }
  }
}

function why(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

async function body(reply: Response): Promise<ArrayBuffer> {
  try {
    return await reply.arrayBuffer();
  } catch (error) {
    throw new UnreachableError(`the answer broke off: ${why(error)}`);
  }
}

/** Throw UnfitInputError unless the arrays have the sizes and the types that the model takes. */
export function check(tensors: readonly Tensor[], inputs: readonly NdArray[]): void {
  const named = new Map<string, number>();
  if (inputs.length !== tensors.length) {
    throw new UnfitInputError(`the model takes ${tensors.length} inputs, got ${inputs.length}`);
  }
  tensors.forEach((one, at) => {
    const { data, shape } = inputs[at]!;
    const fits = one.datatype === "BYTES" ? Array.isArray(data) : data instanceof (ARRAYS[one.datatype] ?? Array);
    if (!fits) throw new UnfitInputError(`${one.name}: the model takes ${one.datatype}`);
    if (data.length !== count(shape)) {
      throw new UnfitInputError(`${one.name} has ${data.length} elements, its shape [${shape}] says ${count(shape)}`);
    }
    if (shape.length !== one.shape.length) {
      throw new UnfitInputError(`${one.name} has ${shape.length} axes, the model takes ${one.shape.length}`);
    }
    shape.forEach((size, axis) => {
      const known = one.shape[axis];
      if (typeof known === "number" && size !== known) {
        throw new UnfitInputError(`axis ${axis} of ${one.name} is ${size}, the model takes ${known}`);
      }
      if (typeof known === "string") {
        const first = named.get(known) ?? size;
        if (first !== size) throw new UnfitInputError(`${known} is ${first} and ${size}; it is one size`);
        named.set(known, size);
      }
    });
  });
}

/** An array as it travels: little-endian, as every JavaScript engine has it; a text is its length and UTF-8. */
export function pack(data: Data): Uint8Array<ArrayBuffer> {
  if (!Array.isArray(data)) {
    const numbers = data as Numbers;
    return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength).slice();
  }
  const encoder = new TextEncoder();
  const parts = data.flatMap((one: string | Uint8Array) => {
    const raw = typeof one === "string" ? encoder.encode(one) : one;
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, raw.length, true);
    return [size, raw];
  });
  return joined(parts);
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((all, one) => all + one.length, 0));
  let place = 0;
  for (const one of parts) {
    whole.set(one, place);
    place += one.length;
  }
  return whole;
}

/** What `pack` made; BYTES come back as texts. Throws UnreachableError. */
export function unpack(raw: ArrayBuffer, datatype: string, shape: readonly number[]): NdArray {
  if (datatype === "BYTES") return { data: texts(raw, count(shape)), shape };
  const kind = ARRAYS[datatype];
  if (kind === undefined || raw.byteLength !== kind.BYTES_PER_ELEMENT * count(shape)) {
    throw new UnreachableError(`the reply's ${datatype} of ${raw.byteLength} bytes is no tensor of shape [${shape}]`);
  }
  return { data: new kind(raw), shape };
}

function texts(raw: ArrayBuffer, wanted: number): string[] {
  const view = new DataView(raw);
  const decoder = new TextDecoder();
  const found: string[] = [];
  let place = 0;
  while (found.length < wanted && place + 4 <= raw.byteLength) {
    const size = view.getUint32(place, true);
    if (place + 4 + size > raw.byteLength) break;
    found.push(decoder.decode(new Uint8Array(raw, place + 4, size)));
    place += 4 + size;
  }
  if (found.length !== wanted || place !== raw.byteLength) throw new UnreachableError("the reply's texts are damaged");
  return found;
}

interface Said {
  id?: unknown;
  parameters?: { fail_safe?: unknown };
  outputs?: { name: string; datatype: string; shape: number[]; parameters?: { binary_data_size?: number } }[];
}

function answer(reply: Response, raw: ArrayBuffer): Answer {
  const stated = Number(reply.headers.get(LENGTH) ?? raw.byteLength);
  const said = told(reply, new Uint8Array(raw, 0, Math.min(stated, raw.byteLength))) as Said;
  const outputs = new Map<string, NdArray>();
  let place = stated;
  for (const one of said.outputs ?? []) {
    const size = one.parameters?.binary_data_size;
    if (size === undefined) throw new UnreachableError(`the server did not send ${one.name} in binary`);
    outputs.set(one.name, unpack(raw.slice(place, place + size), one.datatype, one.shape));
    place += size;
  }
  return { outputs, failSafe: said.parameters?.fail_safe === true, requestId: String(said.id ?? "") };
}

function told(reply: Response, raw: Uint8Array): Record<string, unknown> {
  const text = new TextDecoder().decode(raw);
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  const object = typeof value === "object" && value !== null && !Array.isArray(value);
  if (reply.ok && object) return value as Record<string, unknown>;
  if (reply.ok) throw new UnreachableError("the reply is not the Open Inference Protocol's");
  const sentence = object ? String((value as Record<string, unknown>)["error"] ?? text) : text.slice(0, 200);
  if (reply.status === 401 || reply.status === 403) throw new ForbiddenError(reply.status, sentence);
  if (reply.status === 503) {
    const after = Number.parseInt(reply.headers.get("Retry-After") ?? "", 10);
    throw new BusyError(503, sentence, Number.isNaN(after) ? null : after);
  }
  if (reply.status === 504) throw new LateError(504, sentence);
  throw new RefusedError(reply.status, sentence);
}
