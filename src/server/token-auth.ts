import type { AuthContext } from "./auth-context.js";
import type { Authenticator, IncomingCall } from "./authenticate.js";
import { bearerChallenge, dpopChallenge } from "./challenge.js";
import { readAuthScheme, readToken } from "./read-credentials.js";
import { invalidToken, rechallenge } from "./refusal.js";
import type { DpopVerifier } from "./verify-dpop.js";

/**
 * Who a token stands for, with its claims, of which `cnf` is read here. Throws
 * `Unauthenticated` for a token that is not to be accepted.
 */
export type IdentifyByToken = (token: string, call: IncomingCall) => Promise<AuthContext>;

/**
 * Authenticates callers by an access token: `Authorization: Bearer` (RFC 6750)
 * for one that is bound to no key, and with `dpop` also `Authorization: DPoP`
 * (RFC 9449 §7.1) for one that is, together with a proof of that key.
 */
export function createTokenAuthenticator(
  identify: IdentifyByToken,
  dpop: DpopVerifier | undefined,
): Authenticator {
  // RFC 9449 §7.2: all schemes that would do, the error with the one that was used
  const others = dpop === undefined ? [] : [dpopChallenge({ algs: dpop.algs })];
  const challenges = dpop?.required ? others : [bearerChallenge(), ...others];

  async function authenticateBearer(call: IncomingCall): Promise<AuthContext> {
    if (dpop?.required) {
      const challenge = dpopChallenge({ error: "invalid_token", algs: dpop.algs });
      throw invalidToken("token: Bearer, where only DPoP is accepted", [challenge]);
    }
    try {
      const identity = await identify(readToken(call.header, "Bearer"), call);
      // RFC 9449 §7.2, RFC 8705 §3: a token bound to a key does not count without that key
      if (identity.claims.cnf !== undefined) {
        throw invalidToken('token: bound to a key ("cnf"), so not a bearer token');
      }
      return identity;
    } catch (error) {
      throw rechallenge(error, [bearerChallenge({ error: "invalid_token" }), ...others]);
    }
  }

  async function authenticateDpop(call: IncomingCall, { algs, verify }: DpopVerifier) {
    let token: string;
    let identity: AuthContext;
    let jkt: string;
    try {
      token = readToken(call.header, "DPoP");
      identity = await identify(token, call);
      jkt = thumbprintIn(identity.claims.cnf);
    } catch (error) {
      throw rechallenge(error, [dpopChallenge({ error: "invalid_token", algs })]);
    }
    await verify(call, token, jkt);
    return identity;
  }

  return {
    identityHeaders: [],
    challenge: challenges.join(", "),
    authenticate(call) {
      const scheme = readAuthScheme(call.header);
      if (scheme === "bearer") {
        return authenticateBearer(call);
      }
      return scheme === "dpop" && dpop !== undefined
        ? authenticateDpop(call, dpop)
        : Promise.resolve(undefined);
    },
  };
}

/** The thumbprint of the key in a `cnf` claim (RFC 9449 §6.1). Other ways to confirm are not known here. */
function thumbprintIn(cnf: unknown): string {
  if (cnf === undefined) {
    throw invalidToken("token: bound to no key, so not for DPoP");
  }
  const jkt: unknown =
    typeof cnf === "object" && cnf !== null && Object.keys(cnf).join() === "jkt"
      ? Reflect.get(cnf, "jkt")
      : undefined;
  if (typeof jkt !== "string") {
    throw invalidToken('token: bound in another way than by "jkt"');
  }
  return jkt;
}
