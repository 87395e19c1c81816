import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bufGenerate, readFiles, typeCheck } from "./generate.js";

const golden = join(import.meta.dirname, "golden");
const sources = readFiles(join(golden, "proto"));

describe.each([
  { name: "ts", parameters: ["target=ts", "import_extension=js"] },
  { name: "js", parameters: ["target=js+dts", "import_extension=js"] },
])("the golden output in $name", ({ name, parameters }) => {
  // Accept a change with `npx vitest run plugin -u`, and read the difference.
  test("is what buf generate writes, twice the same", async () => {
    const { folder, result } = bufGenerate(sources, parameters);
    await expect(result.stderr).toMatchFileSnapshot(join(golden, "warnings.txt"));
    const files = readFiles(join(folder, "gen"));
    for (const [path, content] of Object.entries(files)) {
      await expect(content).toMatchFileSnapshot(join(golden, name, path));
    }
    expect(Object.keys(files)).toEqual(
      expect.arrayContaining(Object.keys(readFiles(join(golden, name)))),
    );
    expect(readFiles(join(bufGenerate(sources, parameters).folder, "gen"))).toEqual(files);
  });

  test("compiles with the newest TypeScript and with 5.4, and under stricter and other settings", () => {
    const { folder } = bufGenerate(sources, parameters);
    expect(typeCheck(folder, "newest")).toBe("");
    expect(typeCheck(folder, "5.4")).toBe("");
    const options = { skipLibCheck: false, module: "esnext", moduleResolution: "bundler" };
    expect(typeCheck(folder, "newest", options)).toBe("");
  });
});
