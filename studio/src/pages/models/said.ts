import { Said, sentence } from "../../ui/Trouble";
import { w } from "../../words";
import type { Stop } from "./upload";

const words = w.models.upload_;

/** Why an upload stopped, what the hub has of it (`done`, empty: nothing), and what to do. */
export function said({ status, told }: Stop, done: string): Said {
  const { unread, ended, busy, refused } = words.stopped;
  const kept = done ? words.kept(done) : words.keptNothing;
  if (status === 0) return new Said(unread.happened, unread.kept, unread.todo);
  if (status === 401) return new Said(ended.happened, kept, ended.todo);
  const { happened, todo } = passing(status) ? busy : refused;
  return new Said(told ? sentence(told) : happened(status), kept, todo);
}

/** Whether the same request may be taken in a moment: the upload is elsewhere or in use, there are too many, or the hub is at fault. */
export function passing(status: number): boolean {
  return status === 409 || status === 423 || status === 429 || status >= 500;
}
