// The way to the API: queries over HTTP, subscriptions over one socket. Nothing is cached: every page asks for what it shows
// again while one looks, and rows are patched where they are held (jobWindow).
import { createClient as createSocket, type Client as Socket } from "graphql-ws";
import { Client, type CombinedError, fetchExchange } from "urql";

const PATH = "/graphql";
const TOKEN_KEY = "lookout.token";
/** A question that is answered later than that is given up; the page says so and asks again. */
const TIMEOUT_MS = 15_000;

export function token(): string {
  return sessionStorage.getItem(TOKEN_KEY) ?? "";
}

export function setToken(value: string): void {
  if (value === "") sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, value);
  location.reload();
}

export const client = new Client({
  url: PATH,
  preferGetMethod: false,
  fetchOptions: () => ({
    headers: {
      accept: "application/graphql-response+json, application/json",
      ...(token() === "" ? {} : { authorization: `Bearer ${token()}` }),
    },
  }),
  fetch: (input, init) => {
    const signals = [AbortSignal.timeout(TIMEOUT_MS), ...(init?.signal ? [init.signal] : [])];
    return fetch(input, { ...init, signal: AbortSignal.any(signals) });
  },
  exchanges: [fetchExchange],
});

let socket: Socket | undefined;

/** The socket opens with the first subscription. Reconnecting is the subscriber's, who knows where it stands. */
export function subscriptions(): Socket {
  socket ??= createSocket({
    url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${PATH}`,
    retryAttempts: 0,
    lazy: true,
    keepAlive: 15_000,
    connectionParams: () => (token() === "" ? {} : { authorization: `Bearer ${token()}` }),
  });
  return socket;
}

export interface Trouble {
  code: string;
  message: string;
}

/** What went wrong, in the API's closed set of codes; OFFLINE when nothing answered. */
export function troubleOf(error: CombinedError): Trouble {
  const first = error.graphQLErrors[0];
  if (first !== undefined) {
    const code = first.extensions["code"];
    return { code: typeof code === "string" ? code : "INTERNAL", message: first.message };
  }
  const response: unknown = error.response;
  const status = response instanceof Response ? response.status : 0;
  if (status === 401) return { code: "UNAUTHENTICATED", message: "" };
  if (status >= 500 || status === 0) return { code: "OFFLINE", message: error.networkError?.message ?? error.message };
  return { code: "INVALID", message: error.message };
}
