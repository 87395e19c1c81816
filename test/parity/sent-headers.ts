import { Auth, type MethodPolicy } from "../../src/index.js";
import { methodName } from "../../src/policy/method-policy.js";
import { inMemory } from "../../src/testing/index.js";
import { callEmpty, serveEmpty } from "./calls.js";
import type { GeneratedService } from "./generate.js";

/** The credential headers that a generated client sends to each method. */
export async function sentHeaders({ service, createClient }: GeneratedService): Promise<object[]> {
  const arrived = new Map<string, object>();
  const createTransport = inMemory((router) => serveEmpty(router, service), {
    interceptors: [
      (next) => (req) => {
        const credentials = [...req.header].filter(([name]) => /^(?:authorization|x-)/.test(name));
        arrived.set(methodName(req.method), Object.fromEntries(credentials));
        return next(req);
      },
    ],
  });
  const client = createClient(
    createTransport,
    { baseUrl: "https://in-memory" },
    {
      credentials: Auth.jwt("user-token"),
      internalCredentials: Auth.gateway({ secret: "s3cret", subject: "billing", roles: ["ops"] }),
    },
  );
  for (const method of service.methods) {
    await callEmpty(client, method);
  }
  return service.methods.map((method) => arrived.get(methodName(method)) ?? {});
}

/** The credential headers that a policy asks a client for. */
export function expectedHeaders(policy: MethodPolicy): object {
  switch (policy.kind) {
    case "public":
      return {};
    case "internal":
      return {
        "x-auth-roles": '["ops"]',
        "x-auth-subject": "billing",
        "x-gateway-secret": "s3cret",
      };
    case "requires":
    case "authenticated":
    case "denied":
    case "unspecified":
      return { authorization: "Bearer user-token" };
  }
}
