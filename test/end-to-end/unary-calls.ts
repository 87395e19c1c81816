import type { Credentials } from "../../src/index.js";
import type { ClientCredentialsOptions } from "../../src/oauth/index.js";
import type { TestAuthorizationServer } from "../support/authorization-server.js";
import type { ProtectedApi } from "../support/protected-api.js";
import { callMatrix, createMatrixClient, type Protocol, protocols } from "../wire/protocols.js";

/** How a service gets its tokens. */
export function serviceOptions(
  { issuer, clients, resources }: TestAuthorizationServer,
  dpop: ClientCredentialsOptions["dpop"] = true,
): ClientCredentialsOptions {
  return { issuer, ...clients.basic, resource: resources.orders, dpop };
}

/** Makes the function that calls an API, with one client. */
export function caller(
  { baseUrl }: Pick<ProtectedApi, "baseUrl">,
  protocol: Protocol,
  credentials: Credentials,
): () => Promise<void> {
  const client = createMatrixClient(protocol, { baseUrl }, { credentials });
  return () => callMatrix(client, "authenticated", "Unary");
}

export const connectOverHttp1: Protocol = find("Connect over HTTP/1.1");
export const connectOverHttp2: Protocol = find("Connect over HTTP/2");

function find(wanted: string): Protocol {
  const protocol = protocols.find(({ name }) => name === wanted);
  if (protocol === undefined) {
    throw new Error(`there is no ${wanted}`);
  }
  return protocol;
}
