import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the pages with an API that runs elsewhere: ARGOSY_API=http://127.0.0.1:8080
const api = process.env["ARGOSY_API"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2023",
    sourcemap: false,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
    manifest: "manifest.json",
  },
  server: { host: "127.0.0.1", proxy: { "/graphql": { target: api, ws: true, changeOrigin: true } } },
  test: { include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"], environment: "node" },
});
