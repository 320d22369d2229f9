import { useQuery } from "@tanstack/react-query";
import { all, get, send, type Told, whole } from "./client";

export type Artifact = Told["ArtifactTold"];
export type Kind = Told["KindTold"];
export type Bundle = Told["BundleTold"];

export function useBundles() {
  return useQuery({ queryKey: ["bundles"], queryFn: () => all<Bundle>("/bundles", {}, 400), refetchInterval: 15_000 });
}

export function useKinds() {
  return useQuery({ queryKey: ["artifacts", "kinds"], queryFn: ({ signal }) => get<{ items: Kind[] }>("/artifacts/kinds", {}, signal), staleTime: Infinity });
}

export function useArtifacts() {
  return useQuery({ queryKey: ["artifacts", "list"], queryFn: ({ signal }) => whole<Artifact>("/artifacts", {}, signal), refetchInterval: 15_000 });
}

export function build(kind: Kind, bundle: string, job: string): Promise<Artifact> {
  return send<Artifact>("POST", "/artifacts", kind.of === "job" ? { kind: kind.kind, job } : { kind: kind.kind, bundle });
}

export function place(artifact: Artifact): string {
  return `/api/edge/artifacts/${artifact.id}/download`;
}

/** The bundle's own file needs no building. */
export function wholeBundle(bundle: Bundle): string {
  return `/api/edge/bundles/${bundle.digest}/download`;
}

/** The text of a signer's `.pub` file, from the 32 bytes of its key. */
export async function publicKey(hex: string): Promise<string> {
  const raw = Uint8Array.from(hex.match(/../g) ?? [], (two) => Number.parseInt(two, 16));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", raw));
  const id = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const spki = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, ...raw]); // RFC 8410
  return `edgewright public key ${id}\n-----BEGIN PUBLIC KEY-----\n${btoa(String.fromCharCode(...spki))}\n-----END PUBLIC KEY-----\n`;
}
