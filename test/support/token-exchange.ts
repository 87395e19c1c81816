import { type CryptoKey, type JWTPayload, jwtVerify } from "jose";
import { errors, type Provider, type TokenEndpointGrantContext } from "oidc-provider";
import {
  buildTokenResponse,
  checkDpopReplay,
  resolveRequestedResources,
  validateClientScope,
  validateDpop,
} from "oidc-provider/lib/helpers/grants.js";
import { tokenExchange } from "./oauth-clients.js";

const accessTokenType = "urn:ietf:params:oauth:token-type:access_token";
const jwtType = "urn:ietf:params:oauth:token-type:jwt";

interface ExchangeParameters {
  readonly subject_token?: string;
  readonly subject_token_type?: string;
  readonly actor_token?: string;
  readonly actor_token_type?: string;
}

const parameters = [
  "subject_token",
  "subject_token_type",
  "actor_token",
  "actor_token_type",
  "requested_token_type",
  "audience",
  "scope",
  "resource",
];

/**
 * Lets a server exchange JWTs of its own (RFC 8693): for a JWT with the same
 * subject, in which `act` names the actor, or the client when there is none.
 * Without `resource` it is for the audience of the subject token.
 */
export function registerTokenExchange(provider: Provider, verificationKey: CryptoKey): void {
  const verify = async (name: string, token: string | undefined, type: string | undefined) => {
    if (token === undefined || (type !== accessTokenType && type !== jwtType)) {
      throw new errors.InvalidRequest(`${name} and ${name}_type must name an access token`);
    }
    const options = { issuer: provider.issuer, typ: "at+jwt", requiredClaims: ["sub", "aud"] };
    try {
      return (await jwtVerify(token, verificationKey, options)).payload;
    } catch {
      throw new errors.InvalidRequest(`${name} is not valid`);
    }
  };

  const exchange = async (ctx: TokenEndpointGrantContext<ExchangeParameters>) => {
    const { client, params } = ctx.oidc;
    const subject = await verify("subject_token", params.subject_token, params.subject_token_type);
    const actor =
      params.actor_token !== undefined &&
      (await verify("actor_token", params.actor_token, params.actor_token_type));
    const dpop = await validateDpop(provider, ctx);

    params.resource ??= String(subject.aud);
    const [resourceServer, ...others] = await resolveRequestedResources(provider, ctx);
    if (others.length > 0) {
      throw new errors.InvalidTarget("only a single resource is supported");
    }
    const requested = validateClientScope(provider, ctx, params.scope ?? scopeOf(subject));
    const held = scopeOf(subject).split(" ");
    const beyond = [...requested].filter((scope) => !held.includes(scope));
    if (beyond.length > 0) {
      throw new errors.InvalidScope("the subject token does not have it", beyond.join(" "));
    }

    const token = new provider.AccessToken({
      client,
      accountId: String(subject.sub),
      resourceServer,
      scope: [...requested].filter((scope) => resourceServer?.scopes.has(scope)).join(" "),
      grantId: "",
      gty: tokenExchange,
    });
    if (dpop !== undefined) {
      await checkDpopReplay(provider, ctx, dpop, client.clientId);
      token.setThumbprint("jkt", dpop.thumbprint);
    }
    actors.set(token, actor ? String(actor.sub) : client.clientId);
    ctx.body = buildTokenResponse(provider, {
      accessToken: await token.save(),
      issuedTokenType: accessTokenType,
      tokenType: token.tokenType,
      expiresIn: token.expiration,
      scope: token.scope,
    });
  };
  provider.registerGrantType(tokenExchange, exchange, parameters, "resource");
}

/** The claim `act` of a token that is being issued, when it comes from an exchange. */
export function actOf(token: object): { act: { sub: string } } | undefined {
  const sub = actors.get(token);
  return sub === undefined ? undefined : { act: { sub } };
}

const actors = new WeakMap<object, string>();

function scopeOf({ scope }: JWTPayload): string {
  return typeof scope === "string" ? scope : "";
}
