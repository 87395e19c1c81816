import {
  calculateJwkThumbprint,
  decodeJwt,
  decodeProtectedHeader,
  EmbeddedJWK,
  jwtVerify,
} from "jose";
import { describe, expect, test } from "vitest";
import { sha256 } from "../../src/oauth/base64url.js";
import { createDpopSigner } from "../../src/oauth/dpop-proof.js";

const sampleHeader =
  "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19";
/** Figure 2 of §4.2, the proof of the token request in §5. */
const tokenRequestProof = `${sampleHeader}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg`;
/** Of the request to a protected resource in §7.1. */
const resourceProof = `${sampleHeader}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA`;
const sampleToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

/** What a proof says, if its own key signed it. */
async function verify(proof: string) {
  const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
    typ: "dpop+jwt",
    algorithms: ["ES256", "Ed25519", "EdDSA"],
    currentDate: new Date((decodeJwt(proof).iat ?? 0) * 1000),
    maxTokenAge: 1,
  });
  return { claims: payload, header: protectedHeader };
}

const members = (value: object | undefined) => Object.keys(value ?? {}).sort();

describe("§4.2", () => {
  const time = 1_562_262_616_789;
  const sign = createDpopSigner({}, () => new Date(time));

  test("our proof of a token request has the members of Figure 2, and no other", async () => {
    const ours = await verify(await sign({ htm: "POST", htu: "https://server.example.com/token" }));
    const sample = await verify(tokenRequestProof);
    expect(members(ours.header)).toEqual(members(sample.header));
    expect(members(ours.header.jwk)).toEqual(members(sample.header.jwk));
    expect(members(ours.claims)).toEqual(members(sample.claims));
    expect(ours.header).toMatchObject({
      typ: "dpop+jwt",
      alg: "ES256",
      jwk: { kty: "EC", crv: "P-256" },
    });
    const { jti, ...claims } = ours.claims;
    const { jti: _, ...sampleClaims } = sample.claims;
    expect(claims).toEqual(sampleClaims);
    expect(jti).toMatch(/^[\da-f-]{36}$/);
  });

  test("our proof of a request with a token has the members of §7.1, and no other", async () => {
    const htu = "https://resource.example.org/protectedresource";
    const ours = await verify(await sign({ htm: "GET", htu, accessToken: sampleToken }));
    const sample = await verify(resourceProof);
    expect(members(ours.header)).toEqual(members(sample.header));
    expect(members(ours.claims)).toEqual(members(sample.claims));
    const { htm, ath } = sample.claims;
    expect(ours.claims).toMatchObject({ htm, htu, ath });
  });

  test("htu has neither query nor fragment", async () => {
    const htus = ["https://a.test/p?q#f", "https://a.test/p#f?q", "https://a.test/p?\nq"];
    for (const htu of htus) {
      expect(decodeJwt(await sign({ htm: "GET", htu })).htu).toBe("https://a.test/p");
    }
  });

  test("no two proofs have the same jti", async () => {
    const request = { htm: "POST", htu: "https://server.example.com/token" };
    const proofs = await Promise.all(Array.from({ length: 100 }, () => sign(request)));
    expect(new Set(proofs.map((proof) => decodeJwt(proof).jti)).size).toBe(100);
    expect(new Set(proofs.map((proof) => proof.split(".")[0])).size).toBe(1);
  });
});

test("§6.1: the sample key has this thumbprint", async () => {
  const { jwk = {} } = decodeProtectedHeader(tokenRequestProof);
  expect(await calculateJwkThumbprint(jwk)).toBe("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
});

test("§7.1: the sample token has this hash", async () => {
  expect(await sha256(sampleToken)).toBe("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
});

test("§8: a nonce is a claim", async () => {
  const sign = createDpopSigner({}, () => new Date());
  const nonce = "eyJ7S_zG.eyJH0-Z.HX4w-7v";
  const { claims } = await verify(await sign({ htm: "POST", htu: "https://a.test/", nonce }));
  expect(claims.nonce).toBe(nonce);
});
