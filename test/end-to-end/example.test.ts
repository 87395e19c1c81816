import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import { Code } from "@connectrpc/connect";
import { Auth } from "connectrpc-auth";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type AuthorizationServer,
  startAuthorizationServer,
} from "../../example/authorization-server.js";
import { type Caller, signWithOtherKey, untilExpired } from "../../example/callers.js";
import { allAsPromised, compareWithPromise } from "../../example/compare.js";
import { CatalogService } from "../../example/gen/acme/shop/v1/catalog_pb.js";
import { OrderService } from "../../example/gen/acme/shop/v1/order_pb.js";
import { ReportService } from "../../example/gen/acme/shop/v1/report_pb.js";
import type { Listening } from "../../example/loopback.js";
import { createStubbornClients } from "../../example/shop-clients.js";
import { shopRules, startShopServer } from "../../example/shop-server.js";
import { renderTable } from "../../example/table.js";
import { curlCases } from "./buf-curl.testdata.js";

// Here, and in no other file: it writes example/gen anew, which the tests below have loaded already.
describe("npm run example", () => {
  const callers = ["nobody", "customer", "admin", "service", "forged", "expired"];
  const methods = [CatalogService, OrderService, ReportService].flatMap((service) =>
    service.methods.map(({ name }) => name),
  );

  test("exits 0, with a row per method and a column per caller, all as promised", async () => {
    const { exitCode, stdout } = await runExample();
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(new RegExp(`^ +${callers.join(" +")} +who may call it$`, "m"));
    for (const method of methods) {
      const cells = `(?:✓ (?:ok|unauth|denied) +){${callers.length}}`;
      expect(stdout).toMatch(new RegExp(`^  ${method} +${cells}[a-z]`, "m"));
    }
    const count = methods.length * callers.length;
    expect(stdout.match(/✓ (?:ok|unauth|denied)/g)).toHaveLength(count);
    expect(stdout).toContain(`All ${count} answers are as promised.`);
    expect(stdout).toContain("A visitor who orders something: does not compile; forced, not sent");
    // scopes on the wire, requests to the shop, requests for tokens
    for (const [call, scopes, requests, forTokens] of [
      ["ListProducts", "no token", 1, 0],
      ["ListMyOrders, learns the nonces", "none", 2, 2],
      ["PlaceOrder", "orders:write", 1, 1],
      ["PlaceOrder again", "orders:write", 1, 0],
      ["UploadProducts", "catalog:write", 1, 1],
      ["PlaceOrder, after the shop restarts", "orders:write", 2, 0],
      ["PlaceOrder, after the signing key changes", "orders:write", 3, 1],
    ]) {
      const row = `^✓ ${call} +${scopes} +${requests} +${forTokens}$`;
      expect(stdout).toMatch(new RegExp(row, "m"));
    }
    for (const [attempt, reason] of [
      ["without a proof", "token: bound to a key .*, so not a bearer token"],
      ["with the proof that was sent before", 'proof: "jti" was used before'],
      ["with a proof by another key", "token: bound to another key than that of the proof"],
    ]) {
      expect(stdout).toMatch(new RegExp(`^✓ ${attempt} +${reason}$`, "m"));
    }
  }, 20_000);

  test("exits 1 and marks the answers that are not as promised", async () => {
    // Whoever makes a key pair gets the same one, so the forged token has the issuer's signature,
    // and the thief the supplier's key.
    const { exitCode, stdout } = await runExample(`
      const generate = crypto.subtle.generateKey.bind(crypto.subtle);
      let pair;
      crypto.subtle.generateKey = (algorithm, _, usages) => (pair ??= generate(algorithm, true, usages));
    `);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /^ {2}CancelOrder +✓ unauth +✓ denied +✓ ok +✓ unauth +✗ ok +✓ unauth /m,
    );
    expect(stdout).toContain(
      "✗ OrderService/CancelOrder by forged: ok, promised was Unauthenticated",
    );
    expect(stdout).not.toContain("answers are as promised");
    expect(stdout).toMatch(
      /^✗ with a proof by another key +ok\n {2}promised was +token: bound to another key/m,
    );
  });

  test("exits 1 where tokens take more requests than promised", async () => {
    const { exitCode, stdout } = await runExample(`
      const send = globalThis.fetch;
      globalThis.fetch = async (url, init) => {
        if (String(url).endsWith("/token")) {
          await send(url, { method: "POST" });
        }
        return send(url, init);
      };
    `);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /^✗ PlaceOrder +orders:write +1 +2\n {2}promised was +orders:write +1 +1$/m,
    );
    expect(stdout).toMatch(/^✓ PlaceOrder again +orders:write +1 +0$/m);
    expect(stdout).toContain("answers are as promised");
  }, 20_000);

  test("compiles against the built package", async () => {
    const { exitCode, stdout } = await run("tsc", ["-p", "example/tsconfig.json"]);
    expect(stdout).toBe("");
    expect(exitCode).toBe(0);
  });
});

describe("the shop of the example", () => {
  const audience = "https://shop.acme.example";
  const serviceSecret = "what services of the shop know";
  let issuer: AuthorizationServer;
  let shop: Listening;
  let tokens: Record<"customer" | "admin" | "forger", string>;
  const reasons: unknown[] = [];

  beforeAll(async () => {
    issuer = await startAuthorizationServer(audience);
    const admin = await issuer.requestToken("admin");
    tokens = {
      customer: await issuer.requestToken("customer"),
      admin,
      forger: await signWithOtherKey(admin),
    };
  });

  afterAll(() => issuer.close());

  // a shop with its first products, whatever the test before did to them
  beforeEach(async () => {
    reasons.length = 0;
    shop = await startShopServer({
      ...issuer,
      audience,
      serviceSecret,
      onDenied: ({ error: { cause } }) => reasons.push(cause instanceof Error && cause.message),
    });
  });

  afterEach(() => shop.close());

  test("accepts a token while it is valid, and refuses it once it has expired", async () => {
    const token = await issuer.requestToken("brief");
    const { orders } = createStubbornClients(shop.baseUrl, Auth.jwt(token));
    const { order } = await orders.placeOrder({ sku: "mug" });
    expect(order?.customer).toBe("brief");
    await untilExpired(token);
    await expect(orders.placeOrder({ sku: "mug" })).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid token",
    });
    expect(reasons).toEqual(['token: "exp" claim timestamp check failed']);
  });

  test("refuses a token with the right key id and claims for its signature", async () => {
    const { orders } = createStubbornClients(shop.baseUrl, Auth.jwt(tokens.forger));
    await expect(orders.cancelOrder({ id: "order-1" })).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "invalid token",
    });
    expect(reasons).toEqual(["token: signature verification failed"]);
  });

  test("shows who gets further than promised, and who less far", async () => {
    const callers: Caller[] = [
      { name: "nobody", auth: Auth.jwt(tokens.admin), identity: undefined },
      {
        name: "admin",
        auth: Auth.none(),
        identity: { kind: "user", roles: ["admin"], scopes: [] },
      },
    ];
    const rows = await compareWithPromise(shop.baseUrl, callers, shopRules);
    expect(allAsPromised(rows)).toBe(false);
    const lines = renderTable(rows).split("\n");
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}ListProducts +✓ ok +✓ ok /));
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}CancelOrder +✗ ok +✗ unauth /));
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}PlaceOrder +✗ denied +✗ unauth /));
    expect(lines).toContain(
      "✗ OrderService/CancelOrder by nobody: ok, promised was Unauthenticated",
    );
    expect(lines).toContain(
      "✗ OrderService/PlaceOrder by admin: Unauthenticated, promised was PermissionDenied",
    );
  });

  describe.each(["connect", "grpc", "grpcweb"])("answers buf curl over %s", (protocol) => {
    test.each(curlCases)("$method as $as", async ({ method, as, data = [{}], want }) => {
      const headers = {
        nobody: [],
        customer: [`authorization: Bearer ${tokens.customer}`],
        admin: [`authorization: Bearer ${tokens.admin}`],
        forger: [`authorization: Bearer ${tokens.forger}`],
        service: [`x-gateway-secret: ${serviceSecret}`, "x-auth-subject: warehouse"],
      }[as];
      const { exitCode, stdout, stderr } = await run("buf", [
        ...["curl", "--schema", "example/proto", "--http2-prior-knowledge"],
        ...["--protocol", protocol],
        ...headers.flatMap((header) => ["--header", header]),
        ...["--data", data.map((message) => JSON.stringify(message)).join("\n")],
        `${shop.baseUrl}/acme.shop.v1.${method}`,
      ]);
      if ("message" in want) {
        expect(stderr).toBe("");
        expect(exitCode).toBe(0);
        expect(lastMessage(stdout)).toMatchObject(want.message);
      } else {
        expect(stdout).toBe("");
        // buf curl exits with the gRPC code in the upper five bits
        expect(exitCode).toBe(want.code << 3);
        expect(JSON.parse(stderr)).toMatchObject({ message: want.text });
      }
    });
  });
});

/** Buf prints each message as indented JSON, one after the other. */
function lastMessage(stdout: string): unknown {
  return JSON.parse(stdout.split(/^(?=\{)/m).at(-1) ?? "");
}

/** Runs the script as npm does, without the build before it. `preload` is code that runs before it. */
function runExample(preload = ""): Promise<Finished> {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const { scripts }: { scripts: { example: string } } = JSON.parse(manifest);
  const [command = "", ...args] = scripts.example.replace(/^.*&& /, "").split(" ");
  return run(command, args, {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}`,
  });
}

interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: string, args: string[], env: Record<string, string> = {}): Promise<Finished> {
  const bin = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url));
  const options = {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, ...env },
  };
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (child.exitCode === null) {
        reject(error);
      } else {
        resolve({ exitCode: child.exitCode, stdout, stderr });
      }
    });
  });
}
