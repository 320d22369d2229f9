import type { Level } from "../../ui/Sign";

/** A rollout's state, a decision's kind: which of the meanings it has. */
export const ROLLOUT_LEVEL: Record<string, Level> = {
  draft: "unknown", approval: "attention", awaiting_signature: "attention", staging: "active", wave: "active", completed: "good",
  paused: "attention", halted: "bad", rolling_back: "attention", rolled_back: "attention", cancelled: "unknown", superseded: "unknown",
};

export const DECISION_LEVEL: Record<string, Level> = {
  halt: "bad", revert: "attention", rolled_back: "attention", complete: "good", advance: "good", pause: "attention", hold: "attention", resume: "active", start: "active",
};

export const MEMBER_LEVEL: Record<string, Level> = {
  waiting: "unknown", offered: "active", staged: "active", switching: "active", active: "good", failed: "bad", skipped: "unknown",
  reverting: "attention", reverted: "attention", released: "unknown",
};
