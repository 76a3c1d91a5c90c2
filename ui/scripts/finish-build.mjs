// After the build: a .gz beside every text file (the API serves it as it is), and the budget of the first view.
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const DIST = new URL("../dist/", import.meta.url).pathname;
const FIRST_VIEW_SCRIPT_KB_MAX = 250;

function* files(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* files(path);
    else yield path;
  }
}

for (const path of files(DIST)) {
  if (/\.(js|css|html|svg|json)$/.test(path)) writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
}

const manifest = JSON.parse(readFileSync(join(DIST, "manifest.json"), "utf-8"));

function gzipKb(key, seen) {
  if (seen.has(key)) return 0;
  seen.add(key);
  const chunk = manifest[key];
  const own = statSync(join(DIST, `${chunk.file}.gz`)).size / 1024;
  return own + (chunk.imports ?? []).reduce((sum, each) => sum + gzipKb(each, seen), 0);
}

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
// The first page that people see is fetched at once with the frame.
const seen = new Set();
const frame = gzipKb(entry, seen);
const overview = gzipKb("src/pages/overview.tsx", seen);
const total = frame + overview;
console.log(`first view: ${total.toFixed(0)} KB of script, gzip (frame ${frame.toFixed(0)}, overview ${overview.toFixed(0)})`);
if (total > FIRST_VIEW_SCRIPT_KB_MAX) {
  console.error(`more than the budget of ${FIRST_VIEW_SCRIPT_KB_MAX} KB`);
  process.exit(1);
}
