// How the dashboard is built: a page and a few hashed files, each also compressed as small as can be, because the
// program embeds them so.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Puts `x.br` beside every file of the result. */
function compressed(): Plugin {
  let out = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      out = config.build.outDir;
    },
    closeBundle() {
      for (const entry of readdirSync(out, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || entry.name.endsWith(".br")) continue;
        const path = join(entry.parentPath, entry.name);
        const content = readFileSync(path);
        const params = {
          [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
          [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        };
        writeFileSync(`${path}.br`, brotliCompressSync(content, { params }));
      }
    },
  };
}

const gateway = process.env.CLIPROXY_URL ?? "http://127.0.0.1:8317";

export default defineConfig({
  // The page is served at two addresses, and the router may be mounted below another path.
  base: "./",
  plugins: [compressed()],
  build: {
    assetsDir: "dashboard",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    emptyOutDir: true,
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(["/v0", "/v1", "/readyz"].map((path) => [path, gateway])),
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
} as Parameters<typeof defineConfig>[0]);
