import { describe, expect, test } from "vitest";
import { createTargetGuard } from "../../src/client/guards.js";

describe("createTargetGuard", () => {
  test.each([
    ["https://api.test", "https://api.test/a.S/M"],
    ["https://api.test/prefix/", "https://api.test/prefix/a.S/M?x"],
    ["https://API.test:443", "https://api.TEST/a.S/M"],
    ["http://localhost:8080", "http://localhost:8080/a.S/M"],
    ["http://app.localhost", "http://app.localhost/a.S/M"],
    ["http://127.0.0.1:1", "http://127.0.0.1:1/a.S/M"],
    ["http://127.8.9.10", "http://127.8.9.10/a.S/M"],
    ["http://[::1]:1", "http://[::1]:1/a.S/M"],
  ])("lets credentials of %s go to %s", (baseUrl, url) => {
    expect(createTargetGuard(baseUrl, false)(url)).toBeUndefined();
  });

  test.each([
    ["https://api.test", "https://evil.test/a.S/M"],
    ["https://api.test", "http://api.test/a.S/M"],
    ["https://api.test", "https://api.test:8443/a.S/M"],
    ["https://api.test", "https://api.test.evil.test/a.S/M"],
    ["https://api.test", "https://api.test@evil.test/a.S/M"],
    ["https://api.test", "//evil.test/a.S/M"],
    ["https://api.test", "not a URL"],
    ["https://api.test", ""],
  ])("keeps credentials of %s from %j", (baseUrl, url) => {
    expect(() => createTargetGuard(baseUrl, true)(url)).toThrow(
      expect.objectContaining({
        code: "foreign_origin",
        message: "credentials for https://api.test go to no other origin",
      }),
    );
  });

  test.each([
    "http://api.test",
    "http://10.0.0.1:80",
    "http://localhost.evil.test",
    "http://127.0.0.1.evil.test",
    "http://[::2]",
    "http://128.0.0.1",
  ])("keeps credentials from plain http to %s", (baseUrl) => {
    const url = `${baseUrl}/a.S/M`;
    const { origin } = new URL(baseUrl);
    expect(() => createTargetGuard(baseUrl, false)(url)).toThrow(
      expect.objectContaining({
        code: "insecure_transport",
        message: `credentials for ${origin} need https, or allowInsecureTransport`,
      }),
    );
    expect(createTargetGuard(baseUrl, true)(url)).toBeUndefined();
  });

  test.each([
    "https://user:pass-1@api.test",
    "https://pass-1@api.test",
    "https://user:pass-1@",
    "ftp://user:pass-1@api.test",
  ])("rejects a baseUrl with a user name, and does not show %j", (baseUrl) => {
    expect(() => createTargetGuard(baseUrl, false)).toThrow(TypeError);
    expect(() => createTargetGuard(baseUrl, false)).toThrow(
      /^baseUrl "…@(api\.test)?" must be an http or https URL$/,
    );
  });

  test.each(["", "api.test", "/api", "ftp://api.test", "localhost:8080"])(
    "rejects the baseUrl %j",
    (baseUrl) => {
      expect(() => createTargetGuard(baseUrl, false)).toThrow(
        new TypeError(`baseUrl ${JSON.stringify(baseUrl)} must be an http or https URL`),
      );
    },
  );
});
