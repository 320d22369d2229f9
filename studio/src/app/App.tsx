import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { Router } from "wouter";
import { doubt } from "../api/account";
import { Problem } from "../api/client";
import { heard } from "../api/live";
import { Guard } from "./Guard";
import { Broken } from "./Broken";

function again(failures: number, error: Error): boolean {
  return failures < 2 && error instanceof Problem && (error.status === 0 || error.status === 503);
}

const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onSuccess: () => heard(true),
    onError: (error) => {
      heard(!(error instanceof Problem) || error.status !== 0);
      doubt(client, error);
    },
  }),
  mutationCache: new MutationCache({ onError: (error) => doubt(client, error) }),
  // Whoever is offline is told so at once: an order that waits unseen for the network would surprise.
  defaultOptions: { queries: { networkMode: "always", refetchOnReconnect: true, retry: again, retryDelay: 800, staleTime: 2_000, refetchOnWindowFocus: true }, mutations: { networkMode: "always", retry: false } },
});

export function App() {
  return (
    <QueryClientProvider client={client}>
      <Broken>
        <Router base="/edge-ai">
          <Guard />
        </Router>
      </Broken>
    </QueryClientProvider>
  );
}
