import { type DetailedError, type HttpResponse, Upload } from "tus-js-client";
import { passing } from "./said";

export type Sent = { sent: number; all: number; rate: number };
export type Wanted = { file: File; model?: string; dataset?: string; note?: string };
/** Why it does not go on by itself; `status` 0: the file cannot be read any more. */
export type Stop = { status: number; told: string };
/** `begun`: the hub has taken it up. */
export type Running = { pause: () => void; resume: () => void; begun: () => boolean };
type Heard = { progress: (sent: Sent) => void; waits: (status: number) => void; done: (id: string) => void; stopped: (why: Stop) => void };

const WAITS = [0, 1, 2, 4, 8, 8, 8, 15, 15, 30, 30, 60].map((seconds) => 1000 * seconds);

/** An answer to tus's question how far the upload came, which does not say it. */
class Unsaid extends Error {
  constructor(readonly response: HttpResponse) {
    super();
  }
}

/** An upload that goes on after any cut: the hub says by HEAD how far it came (tus 1.0.0). */
export function begin(wanted: Wanted, on: Heard): Running {
  let last = { at: performance.now(), sent: 0 };
  let rate = 0;
  let most = 0;
  let tries = 0;
  let paused = false;
  let timer = 0;
  const metadata: Record<string, string> = { filename: wanted.file.name };
  if (wanted.model) metadata.model = wanted.model;
  if (wanted.dataset) metadata.dataset = wanted.dataset;
  const upload = new Upload(wanted.file, {
    endpoint: "/api/edge/uploads",
    metadata,
    chunkSize: 32 * 2 ** 20,
    retryDelays: null, // tus counts its tries; see `failed`
    removeFingerprintOnSuccess: true,
    fingerprint: async (file) => ["edgewright", wanted.model ?? wanted.dataset, file.name, file.size, file.lastModified].join("/"),
    onProgress: (now, all) => {
      if (now > most) [most, tries] = [now, 0];
      const at = performance.now();
      if (at - last.at > 500) {
        rate = 0.6 * rate + (0.4 * 1000 * Math.max(0, now - last.sent)) / (at - last.at);
        last = { at, sent: now };
      }
      on.progress({ sent: now, all: all ?? wanted.file.size, rate });
    },
    onAfterResponse: (request, response) => {
      // tus would begin anew at the first byte, whatever the hub answered; only where the upload is gone is that right.
      const status = response.getStatus();
      if (request.getMethod() === "HEAD" && status >= 300 && status !== 404 && status !== 410) throw new Unsaid(response);
    },
    onError: (error) => void failed(error),
    onSuccess: () => {
      off();
      on.done(upload.url?.split("/").pop() ?? "");
    },
  });
  const failed = async (error: Error | DetailedError) => {
    const why = reason(error);
    if (why.status === 0 && !(await readable(wanted.file))) on.stopped(why);
    else if (paused) return;
    // A line may be cut for hours. A hub that answers, and takes nothing all the while, is for people to look after.
    else if (why.status === 0 || (passing(why.status) && tries < WAITS.length)) {
      on.waits(why.status);
      timer = window.setTimeout(go, WAITS[Math.min(tries++, WAITS.length - 1)]);
    } else on.stopped(why);
  };
  const go = () => {
    window.clearTimeout(timer);
    timer = 0;
    upload.start();
  };
  const online = () => { if (timer) go(); };
  const off = () => {
    window.clearTimeout(timer);
    timer = 0;
    window.removeEventListener("online", online);
  };
  const resume = () => {
    paused = false;
    tries = 0;
    window.addEventListener("online", online);
    go();
  };
  const start = async () => {
    const before = await upload.findPreviousUploads();
    if (before[0]) upload.resumeFromPreviousUpload(before[0]);
    if (!paused) resume();
  };
  void start();
  return { pause: () => { paused = true; off(); void upload.abort(); }, resume, begun: () => Boolean(upload.url) };
}

/** A file that was changed or taken away after it was chosen is refused by the browser, as if the line were cut. */
async function readable(file: File): Promise<boolean> {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

function reason(error: Error | DetailedError): Stop {
  const unsaid = "causingError" in error && error.causingError instanceof Unsaid ? error.causingError.response : null;
  const response = unsaid ?? ("originalResponse" in error ? error.originalResponse : null);
  if (!response) return { status: 0, told: "" };
  try {
    const { detail = "" } = JSON.parse(response.getBody()) as { detail?: string };
    return { status: response.getStatus(), told: detail };
  } catch {
    return { status: response.getStatus(), told: "" }; // an answer to HEAD has no body
  }
}
