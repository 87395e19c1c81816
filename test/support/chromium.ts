import http from "node:http";
import { fileURLToPath } from "node:url";
import chromiumBinary from "@sparticuz/chromium";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { listenOnLoopback } from "../../example/loopback.js";
import { forward } from "./forward.js";

/** A page in a browser. */
export interface OpenPage {
  readonly page: Page;
  /** What it wrote to the console, errors that nobody caught, and the URLs that it asked for. */
  readonly traces: readonly string[];
}

/** A browser that runs one script. */
export interface TestBrowser {
  /** Where pages are served. */
  readonly origin: string;
  /**
   * Opens a page, with a storage of its own, and waits until its script has
   * set `globalThis.page`. Throws what the page says where it does not.
   */
  open(): Promise<OpenPage>;
  close(): Promise<void>;
}

/**
 * Starts Chromium without a window. The binary comes with an npm package, whose
 * own arguments are left out: they switch off CORS (`--disable-web-security`).
 */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: await chromiumBinary.executablePath(),
    args: ["--no-sandbox"],
  });
}

/**
 * Starts Chromium for pages that run a script.
 *
 * `script`: the path of a module, from the root of the repository.
 * `forwardTo`: the server that gets all other requests to the origin of the pages.
 */
export async function startChromium(script: string, forwardTo: () => string): Promise<TestBrowser> {
  const [bundle, browser] = await Promise.all([bundleSources(script), launchChromium()]);
  const html =
    '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>';
  const files = new Map([
    ["/", { contentType: "text/html", body: html }],
    ["/page.js", { contentType: "text/javascript", body: bundle }],
    ["/favicon.ico", { contentType: "image/x-icon", body: "" }],
  ]);
  const server = http.createServer((req, res) => {
    const file = files.get(req.url ?? "");
    if (file) {
      res.writeHead(200, { "content-type": file.contentType }).end(file.body);
    } else {
      forward(req, res, forwardTo());
    }
  });
  const { baseUrl, close } = await listenOnLoopback(server);

  return {
    origin: baseUrl,
    async open() {
      const context = await browser.newContext();
      const page = await context.newPage();
      const traces: string[] = [];
      page.on("console", (message) => traces.push(`console: ${message.text()}`));
      page.on("pageerror", (error) => traces.push(`error: ${error.message}`));
      page.on("request", (request) => traces.push(`request: ${request.url()}`));
      // modules have run by the time a page has loaded
      await page.goto(baseUrl);
      if (!(await page.evaluate(() => "page" in globalThis))) {
        await context.close();
        throw new Error(`the page did not start\n${traces.join("\n")}`);
      }
      return { page, traces };
    },
    async close() {
      await browser.close();
      await close();
    },
  };
}

/** The script as browsers get it. The `paths` of the project lead the name of the package to its sources. */
async function bundleSources(script: string): Promise<string> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [script],
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
    logLevel: "silent",
  });
  const [output] = outputFiles;
  if (output === undefined) {
    throw new Error("esbuild made no file");
  }
  return output.text;
}
