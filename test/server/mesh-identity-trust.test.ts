import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { type MeshIdentityTrustOptions, meshIdentityTrust } from "../../src/server/index.js";
import { incomingCall } from "../support/incoming-call.js";

const indexer = "spiffe://cluster.local/ns/shop/sa/indexer";
const billing = "cluster.local/ns/shop/sa/billing";
const allowlist = [
  { principal: indexer, name: "Indexer", roles: ["indexer"], scopes: ["users:read"] },
  { principal: billing },
];
const xfcc = "x-forwarded-client-cert";

function authenticate(header: HeadersInit, options: Partial<MeshIdentityTrustOptions> = {}) {
  return meshIdentityTrust({ allowlist, ...options }).authenticate(incomingCall(header));
}

/** The cause of a refusal. */
async function refusal(
  header: HeadersInit,
  options: Partial<MeshIdentityTrustOptions> = {},
): Promise<unknown> {
  const error = await authenticate(header, options).catch((thrown: unknown) => thrown);
  expect.assert(error instanceof ConnectError);
  expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "invalid credentials" });
  return error.cause;
}

describe("meshIdentityTrust", () => {
  test("takes a principal for the service on the allowlist", async () => {
    expect(await authenticate({ "x-forwarded-client-principal": indexer })).toEqual({
      subject: indexer,
      name: "Indexer",
      roles: ["indexer"],
      scopes: ["users:read"],
      claims: {},
      type: "mesh",
    });
    expect(await authenticate({ "x-forwarded-client-principal": billing })).toEqual({
      subject: billing,
      roles: [],
      scopes: [],
      claims: {},
      type: "mesh",
    });
  });

  test("reads another header, and names another type", async () => {
    const options = { header: "X-Peer", type: "linkerd" };
    expect(await authenticate({ "x-peer": billing }, options)).toMatchObject({
      subject: billing,
      type: "linkerd",
    });
    expect(
      await authenticate({ "x-forwarded-client-principal": billing }, options),
    ).toBeUndefined();
  });

  test("finds no credential where there is no header, or one with underscores", async () => {
    expect(await authenticate({ [xfcc]: `URI=${indexer}` })).toBeUndefined();
    expect(await authenticate({ x_forwarded_client_principal: indexer })).toBeUndefined();
  });

  test.each<{ name: string; value: string }>([
    { name: "another service", value: "spiffe://cluster.local/ns/shop/sa/web" },
    { name: "nothing", value: "" },
    { name: "a prefix", value: indexer.slice(0, -1) },
    { name: "more than the principal", value: `${indexer}/x` },
    { name: "a slash at the end", value: `${indexer}/` },
    { name: "other capitals", value: indexer.toUpperCase() },
    { name: "the short form of a SPIFFE id", value: indexer.replace("spiffe://", "") },
    { name: "the SPIFFE id of a short form", value: `spiffe://${billing}` },
    { name: "escaped characters", value: indexer.replace("indexer", "%69ndexer") },
    { name: "two principals", value: `${indexer}, ${billing}` },
    { name: "the same principal twice", value: `${indexer}, ${indexer}` },
    { name: "two principals without a space", value: `${indexer},${billing}` },
    { name: "a name of every object", value: "__proto__" },
    { name: "another format", value: `URI=${indexer}` },
  ])("rejects $name", async ({ value }) => {
    expect(await refusal({ "x-forwarded-client-principal": value })).toEqual(
      new Error(`principal ${JSON.stringify(value)} is not on the allowlist`),
    );
  });

  test("rejects two headers", async () => {
    expect(
      await refusal([
        ["x-forwarded-client-principal", "spiffe://evil/sa/x"],
        ["x-forwarded-client-principal", indexer],
      ]),
    ).toEqual(new Error(`principal "spiffe://evil/sa/x, ${indexer}" is not on the allowlist`));
  });

  test("rejects more than 8 KiB", async () => {
    const value = `URI=${indexer};Cert=${"a".repeat(8192)}`;
    expect(await refusal({ [xfcc]: value }, { header: xfcc })).toEqual(
      new Error("x-forwarded-client-cert has more than 8192 bytes"),
    );
  });

  test("shares an identity that no call can change", async () => {
    const identity = await authenticate({ "x-forwarded-client-principal": indexer });
    expect(Object.isFrozen(identity)).toBe(true);
    expect(Object.isFrozen(identity?.roles)).toBe(true);
    expect(Object.isFrozen(identity?.scopes)).toBe(true);
  });
});

describe("meshIdentityTrust with x-forwarded-client-cert", () => {
  const options = { header: "X-Forwarded-Client-Cert" };
  const hash = "Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";

  test.each<{ name: string; value: string }>([
    {
      name: "what Envoy sends",
      value: `By=spiffe://cluster.local/ns/shop/sa/users;${hash};URI=${indexer}`,
    },
    { name: "another order", value: `URI=${indexer};${hash}` },
    { name: "quotation marks", value: `${hash};URI="${indexer}"` },
    { name: "a key in capitals", value: `URI=${indexer};HASH=1` },
    { name: "a key in small letters", value: `uri=${indexer}` },
    {
      name: "separators in a quoted value",
      value: `Subject="/C=US/O=Acme, Inc.;URI=spiffe://evil";URI=${indexer};DNS=a.test;DNS=b.test`,
    },
    {
      name: "escapes in a quoted value",
      value: `Subject="CN=a\\",URI=spiffe://evil;\\\\";URI=${indexer}`,
    },
    { name: "an empty value", value: `Subject="";By=;URI=${indexer}` },
    { name: "a value with =", value: `Cert="MII=";By=a=b;URI=${indexer}` },
  ])("accepts $name", async ({ value }) => {
    expect((await authenticate({ [xfcc]: value }, options))?.subject).toBe(indexer);
  });

  test.each<{ name: string; value: string; reason: string }>([
    {
      name: "what a caller wrote before what its proxy added",
      value: `URI=${indexer},By=spiffe://a;URI=spiffe://evil`,
      reason: "x-forwarded-client-cert has more than one element",
    },
    {
      name: "what a proxy added after what another did",
      value: `URI=spiffe://web, URI=${indexer}`,
      reason: "x-forwarded-client-cert has more than one element",
    },
    {
      name: "several URI",
      value: `URI=${indexer};URI=spiffe://evil`,
      reason: "x-forwarded-client-cert has 2 URI, not one",
    },
    {
      name: "no URI",
      value: `${hash};Subject="CN=indexer";DNS=${indexer}`,
      reason: "x-forwarded-client-cert has 0 URI, not one",
    },
    {
      name: "an empty URI",
      value: `${hash};URI=`,
      reason: 'principal "" is not on the allowlist',
    },
    {
      name: "the URI of another service",
      value: "URI=spiffe://cluster.local/ns/shop/sa/web",
      reason: 'principal "spiffe://cluster.local/ns/shop/sa/web" is not on the allowlist',
    },
    {
      name: "spaces around the URI",
      value: `URI= ${indexer}`,
      reason: `principal " ${indexer}" is not on the allowlist`,
    },
    ...[
      ["nothing", ""],
      ["the principal alone", indexer],
      ["a quotation mark that is not closed", `Subject="CN=a;URI=${indexer}`],
      ["an escape at the end", `URI=${indexer};Subject="a\\`],
      ["text after a quotation mark", `Subject="a"b;URI=${indexer}`],
      ["a quotation mark in a value", `Subject=a"b";URI=${indexer}`],
      ["a key without a value", `Subject;URI=${indexer}`],
      ["a value without a key", `=a;URI=${indexer}`],
      ["a semicolon at the end", `URI=${indexer};`],
      ["a comma at the end", `URI=${indexer},`],
      ["an empty pair", `URI=${indexer};;Hash=1`],
    ].map(([name = "", value = ""]) => ({
      name,
      value,
      reason: "x-forwarded-client-cert is malformed",
    })),
  ])("rejects $name", async ({ value, reason }) => {
    expect(await refusal({ [xfcc]: value }, options)).toEqual(new Error(reason));
  });

  test("takes escapes out of a quoted principal", async () => {
    const quoted = { ...options, allowlist: [{ principal: 'urn:"a"' }] };
    const identity = await authenticate({ [xfcc]: 'URI="urn:\\"a\\""' }, quoted);
    expect(identity?.subject).toBe('urn:"a"');
  });

  test("finds no credential where there is no header", async () => {
    expect(
      await authenticate({ "x-forwarded-client-principal": indexer }, options),
    ).toBeUndefined();
  });
});

describe("the options of meshIdentityTrust", () => {
  const list = "allowlist must be a list of one or more { principal }";

  test.each<{ name: string; options: object; message: string }>([
    { name: "no allowlist", options: { allowlist: undefined }, message: list },
    { name: "an empty allowlist", options: { allowlist: [] }, message: list },
    {
      name: "an object for the allowlist",
      options: { allowlist: { principal: "a" } },
      message: list,
    },
    {
      name: "a principal that is no entry",
      options: { allowlist: [indexer] },
      message: "an entry of allowlist takes an object of options",
    },
    {
      name: "a misspelt name in an entry",
      options: { allowlist: [{ principal: "a", role: "admin" }] },
      message:
        'an entry of allowlist has no option "role"; there are principal, name, roles, scopes',
    },
    {
      name: "no principal",
      options: { allowlist: [{ name: "x" }] },
      message: "principal undefined must be visible ASCII without spaces and commas",
    },
    {
      name: "an empty principal",
      options: { allowlist: [{ principal: "" }] },
      message: 'principal "" must be visible ASCII without spaces and commas',
    },
    {
      name: "a principal with a comma",
      options: { allowlist: [{ principal: "CN=a,O=b" }] },
      message: 'principal "CN=a,O=b" must be visible ASCII without spaces and commas',
    },
    {
      name: "a principal with a space at its end",
      options: { allowlist: [{ principal: `${indexer} ` }] },
      message: `principal "${indexer} " must be visible ASCII without spaces and commas`,
    },
    {
      name: "a principal twice",
      options: { allowlist: [{ principal: "a" }, { principal: "b" }, { principal: "a" }] },
      message: 'principal "a" is on the allowlist twice',
    },
    {
      name: "roles that are no list",
      options: { allowlist: [{ principal: "a", roles: "admin" }] },
      message: 'roles "admin" must be a list of strings, none empty',
    },
    {
      name: "the header of user's tokens",
      options: { header: "authorization" },
      message:
        'header "authorization" carries the credentials of users; it must be a header of its own',
    },
    {
      name: "a misspelt option",
      options: { allowList: [] },
      message: 'meshIdentityTrust has no option "allowList"; there are allowlist, header, type',
    },
  ])("reject $name", ({ options, message }) => {
    expect(() => meshIdentityTrust({ allowlist, ...options })).toThrow(new TypeError(message));
  });
});
