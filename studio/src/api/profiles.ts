import { useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { get, Problem, type Told, whole } from "./client";

export type Profile = Omit<Told["ProfileTold"], "target"> & { target: Document };
export type Fit = Told["FitTold"];
export type Figure = { value: number; unit: string; source: string };
export type Named = { names: string[]; source: string };
/** A target's file as JSON: every figure with its unit and where it is from. */
export type Document = {
  name: string; title: string; class: string; architecture: string; notes?: string[]; isa?: Named; engines?: Named; number_types?: Named;
  figures: Record<string, Figure>; compute?: Record<string, Figure>; caches?: Record<string, Figure>; energy?: Record<string, Figure>;
};
type Profiles = { items: Profile[]; templates: Profile[]; next?: string | null };

/** The tenant's own, then those that ship. */
export function useProfiles() {
  return useQuery({
    queryKey: ["profiles", "all"],
    queryFn: async ({ signal }) => {
      const first = await get<Profiles>("/device-profiles", { limit: 200 }, signal);
      const more = first.next ? await whole<Profile>("/device-profiles", { limit: 200, cursor: first.next }, signal) : { items: [] };
      return { own: [...first.items, ...more.items], templates: first.templates };
    },
    staleTime: 15_000,
  });
}

type Fits = Record<string, Fit>;

/** What is told of each version on every device, by the profile's name or id; anew when there are other profiles. */
export function useFits(versions: string[], own: string[] | undefined) {
  const client = useQueryClient();
  return useQueries({
    queries: versions.map((version) => ({
      queryKey: ["fits", version, own?.join(" ")],
      enabled: own !== undefined,
      placeholderData: () => client.getQueriesData<Fits>({ queryKey: ["fits", version] }).findLast(([, told]) => told)?.[1],
      queryFn: async ({ signal }: { signal: AbortSignal }) => {
        const told = await get<{ fits: Fit[] }>(`/versions/${version}/fits`, {}, signal);
        return Object.fromEntries(told.fits.map((one) => [one.profile, one])) as Fits;
      },
      staleTime: 60_000,
      retry: (n: number, error: Error) => n < 2 && error instanceof Problem && error.status === 503,
    })),
  });
}

/** How the matrix names a profile: a template by its name, one's own by its id. */
export function ref(profile: Profile): string {
  return profile.id ?? profile.name;
}
