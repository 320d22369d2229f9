export const settings = {
  title: "Settings",
  tabs: { account: "Account", users: "Users", tokens: "Tokens", plan: "Plan", webhooks: "Webhooks", rules: "Alert rules", audit: "Audit" },
  account: {
    name: "Name", roles: "Roles", tenant: "Tenant", until: "This session ends", may: "You may", nothing: "nothing beyond seeing yourself",
    password: "Password", now: "Password so far", next: "New password", change: "Change the password", changed: "Changed. Your other sessions have ended.",
    looks: "Looks",
  },
  users: {
    add: "Add a user", name: "Name", shown: "Shown as", roles: "Roles", state: "State", made: "Since", active: "active", out: "shut out", invited: "invited",
    provider: "by the identity provider", made_: "The one-time password is shown here and never again:", hand: "Hand it over yourself. It has to be replaced at the first login, within three days.",
    reset: "New one-time password", resetTold: (name: string) => `${name}'s password and sessions end; a one-time password takes its place.`,
    shutOut: "Shut out", letIn: "Let in again", shutOutTold: (name: string) => `${name} is logged out everywhere, and their tokens no longer work.`,
    roleNames: { viewer: "sees everything but users and the audit log", auditor: "sees everything", engineer: "uploads models, data and bundles, starts jobs and benchmarks", operator: "runs devices, starts benchmarks, pauses and aborts rollouts", releaser: "uploads bundles, starts jobs and benchmarks, makes and controls rollouts", owner: "may do everything" } as Record<string, string>,
  },
  plan: {
    title: (name: string) => `Plan: ${name}`, told: "Whoever runs the hub sets the limits.", full: "reached", free: (used: string) => `${used}, no limit`,
    of: { models: "Models", devices: "Devices", storage_bytes: "Models, data and bundles kept", jobs_a_day: "Optimization jobs today", benchmarks_a_day: "Benchmarks today" } as Record<string, string>,
  },
  tokens: {
    add: "Make a token", name: "What it is for", scopes: "It may", days: "It holds for (days)", until: "Until", made: "Made", revoked: "revoked", ended: "ended", holds: "holds",
    all: "all that you may", see: "only see", some: "what you choose", once: "The token is shown here and never again:", revoke: "Revoke", revokeTold: (name: string) => `Programs that use “${name}” are let in no more, at once.`,
    none: "No token yet. Programs and the command line use them in place of a password.",
  },
  webhooks: {
    add: "Add a webhook", url: "Address", least: "Alerts", alertsFrom: (severity: string) => `alerts from “${severity}” on`, noAlerts: "no alerts", told: "Is told of", change: "Change", save: "Keep it",
    events: "Events", nothing: "Choose alerts or an event; it would be told nothing.", private: "The address lies in a private network", once: "Messages are signed with this secret. It is shown here and never again:",
    none: "No webhook yet. Alerts and events are posted to it, signed (Standard Webhooks), and tried again for a day.", test: "Send a test", remove: "Remove",
    removeTold: (url: string) => `${url} hears nothing any more, and what waits for it is dropped.`, deliveries: "Last messages", noDeliveries: "No message yet.",
    states: { waiting: "waiting", delivered: "delivered", given_up: "given up" } as Record<string, string>, tries: (n: number) => (n === 1 ? "1 try" : `${n} tries`),
    kinds: {
      "job.state": { name: "Jobs", hint: "begin, are done, or fail" }, "model.state": { name: "Uploads", hint: "are ready, or refused" },
      "rollout.state": { name: "Rollouts", hint: "go on, halt, or are completed" }, "benchmark.state": { name: "Benchmarks", hint: "are done at a place" },
    } as Record<string, { name: string; hint: string }>,
  },
  rules: {
    told: "Which causes become alerts. Messages go to webhooks and mail.", on: "on", off: "off", limit: "Limit", severity: "Severity", save: "Keep the rules", saved: "Kept.",
    mail: "Mail to", mailHint: "addresses, one a line", mailMissing: "The hub has no mail account yet; whoever runs it can give it one.",
  },
  audit: {
    told: "Every change, in a chain: each line holds the digest of the one before.", export: "Export the log", head: "Signed head", headTold: "Keep it elsewhere: a log that is cut or rewritten later does not agree with it.",
    who: "Who", what: "What", subject: "On what", when: "When", request: "Request", detail: "Detail", line: "Line", digest: "Digest",
  },
} as const;

export const services = {
  title: "Services", told: "What the people of this tenant should know.", edit: "Edit the page", begin: "Write the page", keep: "Keep it", text: "Text; addresses become links",
  meanwhile: (by: string) => `${by} has changed the page since you began. It says now:`, seen: "Mine takes its place",
  empty: "Nobody has written this page yet", teach: "Who is on duty, whom to call when a line stands, where the spare gateways are: an owner of the tenant writes it, and everybody here reads it.",
  by: (name: string) => `Written by ${name},`,
} as const;
