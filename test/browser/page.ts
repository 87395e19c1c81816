import { ConnectError } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  Auth,
  type Credentials,
  cachedAuth,
  createAuthTransport,
  isAuthError,
} from "connectrpc-auth";
import {
  type ClientCredentialsOptions,
  clientCredentials,
  isAuthClientError,
  publicClient,
  type RefreshTokenOptions,
  refreshToken,
} from "connectrpc-auth/oauth";
import { createMatrixServiceClient } from "../gen/acme/matrix/v1/matrix_auth.js";
import { createUserServiceClient } from "../gen/acme/user/v1/user_auth.js";

/** Where the page finds its credentials. */
export type PageCredentials =
  /** `cachedAuth` with a function that returns these tokens one after the other. */
  | { readonly kind: "cachedAuth"; readonly tokens: string[] }
  | { readonly kind: "clientCredentials"; readonly options: ClientCredentialsOptions }
  /**
   * A public client, and the key pair of `makeKey`. Its refresh token is kept in
   * `localStorage`; left out: it is there.
   */
  | {
      readonly kind: "refreshToken";
      readonly options: Pick<RefreshTokenOptions, "issuer" | "clientId" | "resource">;
      readonly refreshToken?: string;
    };

/** What a page calls, and how. */
export interface PageInit {
  readonly protocol: "Connect" | "gRPC-Web";
  readonly baseUrl: string;
  readonly credentials: PageCredentials;
}

/** What became of a call: `ok`, or the codes of the error and of its causes, and its messages. */
export interface Outcome {
  readonly codes: readonly (string | number)[];
  readonly messages: readonly string[];
}

/** What a test asks of the page. */
export interface PageApi {
  /** Makes the clients that later calls go through. */
  connect(init: PageInit): Promise<void>;
  call(kind: "Unary" | "Server" | "Get"): Promise<Outcome>;
  /** Makes a key pair that stays in the page, in IndexedDB, and returns the public key. */
  makeKey(): Promise<JsonWebKey>;
}

declare global {
  var page: PageApi;
}

let calls: Record<"Unary" | "Server" | "Get", () => Promise<unknown>>;

globalThis.page = {
  async connect({ protocol, baseUrl, credentials }) {
    const auth = { credentials: await createCredentials(credentials) };
    const transport =
      protocol === "Connect"
        ? createAuthTransport(createConnectTransport, { baseUrl, useHttpGet: true }, auth)
        : createAuthTransport(createGrpcWebTransport, { baseUrl }, auth);
    const matrix = createMatrixServiceClient(transport);
    const users = createUserServiceClient(transport);
    calls = {
      Unary: () => matrix.authenticatedUnary({}),
      Get: () => users.whoAmI({}),
      async Server() {
        for await (const _message of matrix.authenticatedServer({})) {
          // an error of a stream comes with a message
        }
      },
    };
  },
  call: (kind) => calls[kind]().then(() => ({ codes: ["ok"], messages: [] }), describeError),
  async makeKey() {
    const algorithm = { name: "ECDSA", namedCurve: "P-256" };
    const pair = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
    await inKeyStore((store) => store.put(pair, "dpop"));
    return crypto.subtle.exportKey("jwk", pair.publicKey);
  },
};

async function createCredentials(init: PageCredentials): Promise<Credentials> {
  switch (init.kind) {
    case "cachedAuth": {
      const { tokens } = init;
      return cachedAuth(async () => Auth.bearer(tokens.shift() ?? ""));
    }
    case "clientCredentials":
      return clientCredentials(init.options);
    case "refreshToken": {
      if (init.refreshToken !== undefined) {
        localStorage.setItem("refresh_token", init.refreshToken);
      }
      const keyPair: CryptoKeyPair = await inKeyStore((store) => store.get("dpop"));
      return refreshToken({
        ...init.options,
        clientAuthentication: publicClient(),
        dpop: { keyPair },
        refreshToken: () => localStorage.getItem("refresh_token") ?? "",
        onTokens: ({ refresh_token = "" }) => localStorage.setItem("refresh_token", refresh_token),
      });
    }
  }
}

/** Does one thing in the store of keys, which keeps those that cannot be exported too. */
function inKeyStore<T>(use: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("keys", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const request = use(opening.result.transaction("keys", "readwrite").objectStore("keys"));
      request.onerror = () => reject(request.error);
      request.onsuccess = () => resolve(request.result);
    };
  });
}

function describeError(reason: unknown): Outcome {
  const error = ConnectError.from(reason);
  const codes: (string | number)[] = [error.code];
  const messages = [error.rawMessage];
  for (let { cause } = error; isAuthError(cause) || isAuthClientError(cause); { cause } = cause) {
    codes.push(cause.code);
    messages.push(cause.message);
  }
  return { codes, messages };
}
