import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { SignJWT } from "jose";
import { staticHeaders } from "../../src/credentials/auth-headers.js";
import { AUTH_HEADERS } from "../../src/headers.js";
import {
  Auth,
  type MethodPolicy,
  type Requirements,
  type ServicePolicies,
} from "../../src/index.js";
import {
  createGatewayAuthInterceptor,
  createJwtAuthInterceptor,
  createServerAuth,
} from "../../src/server/index.js";
import { inMemory } from "../../src/testing/index.js";
import { callEmpty, serveEmpty } from "./calls.js";

const secret = "0123456789abcdef0123456789abcdef";

/** Those who call. `almost` and `almostService` lack one thing that the method asks for. */
const callers = [
  "nobody",
  "user",
  "almost",
  "granted",
  "service",
  "almostService",
  "grantedService",
] as const;
type Caller = (typeof callers)[number];

/** What each caller gets. */
export type Outcomes = Record<Caller, "passes" | "Unauthenticated" | "PermissionDenied">;

/** What a server must answer to each caller. */
export function expectedOutcomes(policy: MethodPolicy): Outcomes {
  const users = (outcome: Outcomes["user"]) => ({
    user: outcome,
    almost: outcome,
    granted: outcome,
  });
  const services = (outcome: Outcomes["user"]) => ({
    service: outcome,
    almostService: outcome,
    grantedService: outcome,
  });
  const nobody = "Unauthenticated";
  switch (policy.kind) {
    case "public":
      return { nobody: "passes", ...users("passes"), ...services("passes") };
    case "authenticated":
      return { nobody, ...users("passes"), ...services("Unauthenticated") };
    case "denied":
    case "unspecified":
      return { nobody, ...users("PermissionDenied"), ...services("Unauthenticated") };
    case "requires": {
      const without = asksForNothing(policy) ? "passes" : "PermissionDenied";
      return { nobody, ...users(without), granted: "passes", ...services("Unauthenticated") };
    }
    case "internal": {
      const without = asksForNothing(policy) ? "passes" : "PermissionDenied";
      return {
        nobody,
        ...users("Unauthenticated"),
        ...services(without),
        grantedService: "passes",
      };
    }
  }
}

/** Calls each method of a service as each caller, on a server that has the policy table. */
export async function actualOutcomes(
  service: DescService,
  policies: ServicePolicies,
  granted: readonly MethodPolicy[],
): Promise<Outcomes[]> {
  const auth = createServerAuth({
    policies: [policies],
    authenticate: createJwtAuthInterceptor({ secret }),
    internal: createGatewayAuthInterceptor({
      trustSource: { expectedValues: [secret] },
      headerMapping: {
        subject: AUTH_HEADERS.SUBJECT,
        roles: AUTH_HEADERS.ROLES,
        scopes: AUTH_HEADERS.SCOPES,
      },
    }),
  });
  const routes = auth.guard((router) => serveEmpty(router, service));
  const createTransport = inMemory(routes, { interceptors: auth.interceptors });
  const client = createClient(service, createTransport({ baseUrl: "https://in-memory" }));

  return Promise.all(
    service.methods.map(async (method, i): Promise<Outcomes> => {
      const policy = granted[i];
      const requirements =
        policy !== undefined && "roles" in policy ? policy : { roles: [], scopes: [] };
      const outcome = async (caller: Caller): Promise<Outcomes[Caller]> => {
        const headers = await headersOf(caller, requirements);
        return callEmpty(client, method, { headers }).then(() => "passes", outcomeOf);
      };
      const entries = await Promise.all(
        callers.map(async (caller) => [caller, await outcome(caller)] as const),
      );
      // an entry for each caller
      return Object.fromEntries(entries) as Outcomes;
    }),
  );
}

function outcomeOf(error: unknown): Outcomes[Caller] {
  const { code } = ConnectError.from(error);
  if (code !== Code.Unauthenticated && code !== Code.PermissionDenied) {
    throw error;
  }
  return code === Code.Unauthenticated ? "Unauthenticated" : "PermissionDenied";
}

async function headersOf(caller: Caller, requirements: Requirements): Promise<[string, string][]> {
  switch (caller) {
    case "nobody":
      return [];
    case "user":
      return [await bearer({ roles: [], scopes: [] })];
    case "almost":
      return [await bearer(lackingOne(requirements))];
    case "granted":
      return [await bearer(enough(requirements))];
    case "service":
      return gateway({ roles: [], scopes: [] });
    case "almostService":
      return gateway(lackingOne(requirements));
    case "grantedService":
      return gateway(enough(requirements));
  }
}

async function bearer({ roles, scopes }: Requirements): Promise<[string, string]> {
  const token = await new SignJWT({ roles, scope: scopes.join(" ") })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject("somebody")
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(secret));
  return ["authorization", `Bearer ${token}`];
}

function gateway({ roles, scopes }: Requirements): [string, string][] {
  const headers = staticHeaders(Auth.gateway({ secret, subject: "billing", roles }));
  return scopes.length === 0 ? [...headers] : [...headers, [AUTH_HEADERS.SCOPES, scopes.join(" ")]];
}

/** One of the roles and all of the scopes. */
export function enough({ roles, scopes }: Requirements): Requirements {
  return { roles: roles.slice(-1), scopes };
}

/** All of the roles and all but one of the scopes; where no scope is asked for, no role. */
export function lackingOne({ roles, scopes }: Requirements): Requirements {
  return scopes.length === 0 ? { roles: [], scopes } : { roles, scopes: scopes.slice(1) };
}

/** Whether any identity is enough. */
export function asksForNothing({ roles, scopes }: Requirements): boolean {
  return roles.length === 0 && scopes.length === 0;
}
