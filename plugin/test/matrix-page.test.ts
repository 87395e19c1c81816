import http from "node:http";
import type { BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { listenOnLoopback } from "../../example/loopback.js";
import { launchChromium } from "../../test/support/chromium.js";
import { generate } from "./generate.js";

const rule = (text: string) => `option (connectum.auth.v1.method_auth) = { ${text} };`;
const long = "a".repeat(200);

/** The page for two services, one of them with names that are up to something. */
function printPage(): string {
  const sources = {
    "acme.proto": `syntax = "proto3"; package acme.user.v1; import "connectum/auth/v1/options.proto"; message M {}
// Users of the shop.
service UserService {
  // Deletes a user.
  rpc Delete(M) returns (M) { ${rule('requires: { roles: ["admin", "ops"], scopes: ["users:write", "users:read"] }')} }
  rpc List(M) returns (M) { ${rule('requires: { roles: ["ops"] }')} }
  rpc Me(M) returns (M) { ${rule('policy: "allow"')} }
  rpc Reindex(M) returns (M) { ${rule('internal: true requires: { scopes: ["users:write"] }')} }
  rpc Drop(M) returns (M) { ${rule('policy: "deny"')} }
  rpc Open(M) returns (M);
  rpc Get(M) returns (M) { ${rule("public: true")} option deprecated = true; }
}`,
    "evil.proto": `syntax = "proto3"; package evil; import "connectum/auth/v1/options.proto"; message M {}
// </p></script><script>document.title = "stolen"</script><img src=x onerror="document.title = 'stolen'">
service role {
  // ${long}
  rpc Markup(M) returns (M) { ${rule(`requires: { roles: ["<img/src=/x/onerror=alert(1)>", "\\"onfocus=alert(1)//", "&lt;b&gt;", "${long}"] }`)} }
  // a \u202e b \u2028 c
  rpc Invisible(M) returns (M) { ${rule('requires: { roles: ["\u202enimda", "ad\u200bmin"] }')} }
}`,
  };
  return generate(sources, "target=ts,allow=AUTH001,matrix_file=access.html")["access.html"] ?? "";
}

/** Printed by the first test: what compiles belongs to a test. */
let html = "";
let browser: Awaited<ReturnType<typeof launchChromium>>;
let server: Awaited<ReturnType<typeof listenOnLoopback>>;
/** What browsers asked the server for. */
const requests: string[] = [];
/** What a page wrote to the console, errors that nobody caught, and requests to anywhere. */
let traces: string[] = [];

beforeAll(async () => {
  [browser, server] = await Promise.all([
    launchChromium(),
    listenOnLoopback(
      http.createServer((req, res) => {
        requests.push(req.url ?? "");
        res.writeHead(200, { "content-type": "text/html" }).end(html);
      }),
    ),
  ]);
}, 60_000);
afterAll(() => Promise.all([browser?.close(), server?.close()]));
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  expect(traces).toEqual([`request: ${server.baseUrl}/`]);
  expect(new Set(requests)).toEqual(new Set(["/"]));
});

async function open(options: BrowserContextOptions = {}): Promise<Page> {
  html ||= printPage();
  const page = await (await browser.newContext(options)).newPage();
  traces = [];
  page.on("console", (message) => traces.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => traces.push(`error: ${error.message}`));
  page.on("request", (request) => traces.push(`request: ${request.url()}`));
  await page.goto(server.baseUrl);
  return page;
}

/** The methods that are shown. */
function shown(page: Page): Promise<string[]> {
  return page.locator("tbody th code:visible").allTextContents();
}

const status = (page: Page) => page.getByRole("status").textContent();
const own = ["Get", "Delete", "List", "Me", "Reindex", "Drop", "Open"];
const all = [...own, "Markup", "Invisible"];

describe("the page", () => {
  test("shows all methods, public ones first, and how many there are", async () => {
    const page = await open();
    expect(await page.title()).toBe("Who may call what");
    expect(await shown(page)).toEqual(all);
    expect(await status(page)).toBe("9 of 9 methods");
  });

  test("finds methods by words, with the keyboard alone", async () => {
    const page = await open();
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("filter-words");
    const outline = await page.locator(":focus").evaluate((field) => {
      const { outlineStyle, outlineWidth } = getComputedStyle(field);
      return [outlineStyle, outlineWidth];
    });
    expect(outline).toEqual(["solid", "3px"]);

    await page.keyboard.type("  USERS:write ");
    expect(await shown(page)).toEqual(["Delete", "Reindex"]);
    expect(await status(page)).toBe("2 of 9 methods");
    expect(await page.getByRole("heading", { name: "evil.role" }).isVisible()).toBe(false);
    await page.keyboard.type("other");
    expect(await shown(page)).toEqual(["Reindex"]);
    await page.keyboard.press("Enter"); // sends the form nowhere
    expect(await status(page)).toBe("1 of 9 methods");
    await page.keyboard.type("?");
    expect(await shown(page)).toEqual([]);
    expect(await status(page)).toBe("0 of 9 methods");

    for (const _ of ["kind", "role", "scope", "button"]) {
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await expect.poll(() => status(page)).toBe("9 of 9 methods");
    expect(await shown(page)).toEqual(all);
  });

  test.each([
    { words: "user.v1", want: own },
    { words: "deletes", want: ["Delete"] },
    { words: "public", want: ["Get"] },
    { words: "role ops", want: ["Delete", "List"] },
    { words: "deprecated", want: ["Get"] },
  ])('finds $want by "$words"', async ({ words, want }) => {
    const page = await open();
    await page.getByLabel("Search").fill(words);
    expect(await shown(page)).toEqual(want);
  });

  test.each([
    { label: "Kind", key: "with", want: ["Delete", "List", "Markup", "Invisible"] },
    { label: "Kind", key: "public", want: ["Get"] },
    { label: "Kind", key: "not", want: ["Open"] },
    { label: "Role", key: "ops", want: ["Delete", "List"] },
    { label: "Scope", key: "users:w", want: ["Delete", "Reindex"] },
  ])("filters by $label with the keyboard: $key", async ({ label, key, want }) => {
    const page = await open();
    await page.getByLabel(label, { exact: true }).focus();
    await page.keyboard.type(key);
    expect(await shown(page)).toEqual(want);
    expect(await status(page)).toBe(`${want.length} of 9 methods`);
  });

  test("filters by all that is set", async () => {
    const page = await open();
    await page.getByLabel("Role", { exact: true }).selectOption("ops");
    await page.getByLabel("Scope", { exact: true }).selectOption("users:read");
    expect(await shown(page)).toEqual(["Delete"]);
    await page.getByLabel("Search").fill("list");
    expect(await status(page)).toBe("0 of 9 methods");
  });

  test("offers what there is, each once", async () => {
    const page = await open();
    const offered = (label: string) =>
      page.getByLabel(label, { exact: true }).locator("option").allTextContents();
    expect(await offered("Kind")).toEqual([
      ...["any", "public", "not said", "for any authenticated caller"],
      ...["with requirements", "internal", "denied"],
    ]);
    expect(await offered("Role")).toEqual([
      ...["any", '"onfocus=alert(1)//', "&lt;b&gt;", "<img/src=/x/onerror=alert(1)>"],
      ...["\\u202enimda", long, "ad\\u200bmin", "admin", "ops"],
    ]);
    expect(await offered("Scope")).toEqual(["any", "users:read", "users:write"]);
  });
});

describe("without JavaScript the page", () => {
  test("is a plain table, without fields that do nothing", async () => {
    const page = await open({ javaScriptEnabled: false });
    expect(await shown(page)).toEqual(all);
    expect(await page.getByRole("search").isVisible()).toBe(false);
    expect(await page.getByRole("table").count()).toBe(2);
  });
});

describe("text of a proto file", () => {
  test("stays text", async () => {
    const page = await open();
    const row = page.getByRole("row", { name: "Markup" });
    expect(await row.locator("[data-role]").allTextContents()).toEqual([
      "<img/src=/x/onerror=alert(1)>",
      '"onfocus=alert(1)//',
      "&lt;b&gt;",
      long,
    ]);
    await page.getByLabel("Role", { exact: true }).selectOption("<img/src=/x/onerror=alert(1)>");
    expect(await shown(page)).toEqual(["Markup"]);
    expect(await page.locator("section:visible > p").textContent()).toBe(
      `</p></script><script>document.title = "stolen"</script><img src=x onerror="document.title = 'stolen'">`,
    );
    expect(await page.title()).toBe("Who may call what");
    expect(await page.locator("img, script, [onerror], [onfocus]").count()).toBe(1);
  });

  test("shows what does not show, and turns nothing round", async () => {
    const page = await open();
    const row = page.getByRole("row", { name: "Invisible" });
    expect(await row.locator("[data-role]").allTextContents()).toEqual([
      "\\u202enimda",
      "ad\\u200bmin",
    ]);
    expect(await row.locator("small").allTextContents()).toEqual(["a \\u202e b c"]);
    expect(await page.locator("td bdi").count()).toBeGreaterThan(0);
  });

  test("could not run, or load anything, if it became markup", async () => {
    const page = await open();
    const effects = await page.evaluate(async () => {
      const blocked = new Set<string>();
      const allBlocked = new Promise<void>((resolve) => {
        document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
          blocked.add(effectiveDirective);
          if (blocked.size === 6) {
            resolve();
          }
        });
      });
      const holder = document.createElement("div");
      holder.innerHTML =
        '<img src="/x"><img src="x:" onerror="document.title = 1"><style>body { display: none }</style><form action="/y"></form><iframe src="/z"></iframe>';
      const script = document.createElement("script");
      script.textContent = "document.title = 'stolen'";
      document.body.append(holder, script);
      holder.querySelector("form")?.submit();
      await allBlocked;
      const { display } = getComputedStyle(document.body);
      return { title: document.title, display, blocked: [...blocked].sort() };
    });
    expect(effects).toEqual({
      title: "Who may call what",
      display: "block",
      blocked: [
        ...["form-action", "frame-src", "img-src"],
        ...["script-src-attr", "script-src-elem", "style-src-elem"],
      ],
    });
    // the browser says what it has blocked
    expect(traces.filter((trace) => trace.startsWith("error: "))).toEqual([]);
    traces = traces.slice(0, 1);
  });
});

describe("for a screen reader, the page", () => {
  test.each([
    { name: "wide", viewport: { width: 1280, height: 800 } },
    { name: "narrow", viewport: { width: 320, height: 640 } },
  ])("has landmarks, labels, and tables with headers: $name", async ({ viewport }) => {
    const page = await open({ viewport });
    expect(await page.locator("html").getAttribute("lang")).toBe("en");
    for (const landmark of ["banner", "search", "main"] as const) {
      expect(await page.getByRole(landmark).count(), landmark).toBe(1);
    }
    expect(await page.getByRole("heading", { level: 1 }).allTextContents()).toEqual([
      "Who may call what",
    ]);
    for (const field of ["Search", "Kind", "Role", "Scope"]) {
      expect(await page.getByLabel(field, { exact: true }).count(), field).toBe(1);
    }
    const table = page.getByRole("table", { name: "acme.user.v1.UserService" });
    expect(await table.getByRole("columnheader").allTextContents()).toEqual([
      "Method",
      "Who may call",
      "Roles, one of",
      "Scopes, all of",
    ]);
    expect(await table.getByRole("rowheader").count()).toBe(own.length);
    expect(await table.getByRole("row").count()).toBe(own.length + 1);
    expect(await table.locator("th:not([scope=col]):not([scope=row])").count()).toBe(0);
    expect(await page.getByRole("region", { name: "acme.user.v1.UserService" }).count()).toBe(1);
    const ids = await page.locator("[id]").evaluateAll((all) => all.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe("on any screen, the page", () => {
  test.each([320, 375, 640, 641, 1280])("has no horizontal scrolling: %d pixels", async (width) => {
    const page = await open({ viewport: { width, height: 640 } });
    const overflow = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      const outside = [...document.querySelectorAll("main *:not(thead, thead *)")].filter(
        (element) => element.getBoundingClientRect().right > clientWidth,
      );
      return { more: scrollWidth - clientWidth, outside: outside.map(({ tagName }) => tagName) };
    });
    expect(overflow).toEqual({ more: 0, outside: [] });
  });

  test("says in narrow ones what each cell is", async () => {
    const page = await open({ viewport: { width: 320, height: 640 } });
    const label = await page
      .getByRole("row", { name: "Delete" })
      .getByRole("cell")
      .nth(1)
      .evaluate((cell) => getComputedStyle(cell, "::before").content);
    expect(label).toMatch(/Roles, one of/);
    expect(
      await page.getByRole("row", { name: "Delete" }).getByRole("cell").nth(1).isVisible(),
    ).toBe(true);
  });

  test.each(["light", "dark"] as const)("has colours with enough contrast: %s", async (scheme) => {
    const page = await open({ colorScheme: scheme });
    const { texts, parts } = await page.evaluate(measureColours);
    expect(texts.length).toBeGreaterThan(50);
    const low = texts.filter(({ front, back }) => contrast(front, back) < 4.5);
    expect(low).toEqual([]);
    // borders of fields, and the outline of what has the focus: WCAG 1.4.11
    expect(parts).toHaveLength(6);
    expect(parts.filter(({ front, back }) => contrast(front, back) < 3)).toEqual([]);
    const isDark = luminance(texts[0]?.back ?? "") < 0.5;
    expect(isDark).toBe(scheme === "dark");
  });
});

/** The colours of all texts, of the borders of fields, and of the focus. Runs in the page. */
function measureColours() {
  const backgroundOf = (element: Element | null): string => {
    const { backgroundColor } = getComputedStyle(element ?? document.documentElement);
    const isClear = backgroundColor === "rgba(0, 0, 0, 0)";
    return isClear && element !== null ? backgroundOf(element.parentElement) : backgroundColor;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts: { text: string; front: string; back: string }[] = [];
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (element !== null && node.textContent?.trim() && element.checkVisibility()) {
      const front = getComputedStyle(element).color;
      texts.push({ text: node.textContent.slice(0, 20), front, back: backgroundOf(element) });
    }
  }
  const fields = [...document.querySelectorAll<HTMLElement>("input, select, button")];
  const parts = fields.map((field) => ({
    text: field.id,
    front: getComputedStyle(field).borderTopColor,
    back: backgroundOf(field),
  }));
  fields[0]?.focus();
  parts.push({
    text: "focus",
    front: getComputedStyle(fields[0] ?? document.body).outlineColor,
    back: backgroundOf(document.body),
  });
  return { texts, parts };
}

/** WCAG 2.2, contrast ratio. */
function contrast(front: string, back: string): number {
  const [low = 0, high = 0] = [luminance(front), luminance(back)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** WCAG 2.2, relative luminance. */
function luminance(colour: string): number {
  const match = /^rgb\((\d+), (\d+), (\d+)\)$/.exec(colour);
  if (match === null) {
    throw new Error(`"${colour}" is no opaque colour`);
  }
  const [red = 0, green = 0, blue = 0] = match.slice(1).map((text) => {
    const part = Number(text) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
