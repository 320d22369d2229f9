import { Upload } from "tus-js-client";

export type Sent = { sent: number; all: number; rate: number };
export type Wanted = { file: File; model?: string; dataset?: string; note?: string };

/** An upload that goes on after any cut: the hub says by HEAD how far it came (tus 1.0.0). */
export function begin(wanted: Wanted, on: { progress: (sent: Sent) => void; cut: (sent: number) => void; done: (id: string) => void; failed: (why: string) => void }): { pause: () => void; resume: () => void } {
  let last = { at: performance.now(), sent: 0 };
  let rate = 0;
  let sent = 0;
  const metadata: Record<string, string> = { filename: wanted.file.name };
  if (wanted.model) metadata.model = wanted.model;
  if (wanted.dataset) metadata.dataset = wanted.dataset;
  const upload = new Upload(wanted.file, {
    endpoint: "/api/edge/uploads",
    metadata,
    chunkSize: 32 * 2 ** 20,
    retryDelays: [0, 1000, 2000, 4000, 8000, 8000, 8000, 15000, 15000, 30000, 30000, 60000],
    removeFingerprintOnSuccess: true,
    fingerprint: async (file) => ["edgewright", wanted.model ?? wanted.dataset, file.name, file.size, file.lastModified].join("/"),
    onProgress: (now, all) => {
      sent = now;
      const at = performance.now();
      if (at - last.at > 500) {
        rate = 0.6 * rate + (0.4 * 1000 * (now - last.sent)) / (at - last.at);
        last = { at, sent: now };
      }
      on.progress({ sent: now, all: all ?? wanted.file.size, rate });
    },
    onShouldRetry: (error) => {
      const status = error.originalResponse?.getStatus() ?? 0;
      on.cut(sent);
      return status === 0 || status === 409 || status === 423 || status === 429 || status >= 500;
    },
    onError: (error) => on.failed(told(error)),
    onSuccess: () => on.done(upload.url?.split("/").pop() ?? ""),
  });
  const start = async () => {
    const before = await upload.findPreviousUploads();
    if (before[0]) upload.resumeFromPreviousUpload(before[0]);
    upload.start();
  };
  void start();
  return { pause: () => void upload.abort(), resume: () => upload.start() };
}

function told(error: Error): string {
  const response = (error as { originalResponse?: { getBody(): string } | null }).originalResponse;
  try {
    const body = JSON.parse(response?.getBody() ?? "") as { detail?: string };
    return body.detail ?? error.message;
  } catch {
    return error.message;
  }
}
