// Every query in the source is valid in the committed schema of the API.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { buildSchema, parse, validate } from "graphql";
import { expect, test } from "vitest";

const SOURCE = join(import.meta.dirname, "../src");
const schema = buildSchema(readFileSync(join(import.meta.dirname, "../../app/api/schema.graphql"), "utf-8"));

const documents = readdirSync(SOURCE, { recursive: true, encoding: "utf-8" })
  .filter((name) => /\.tsx?$/.test(name) && !name.startsWith("gql"))
  .flatMap((name) => [...readFileSync(join(SOURCE, name), "utf-8").matchAll(/graphql\(`([^`]+)`\)/g)].map((match) => [name, match[1] ?? ""] as const));

test("there are queries to check", () => {
  expect(documents.length).toBeGreaterThan(15);
});
test.each(documents)("a query of %s is in the schema", (_name, text) => {
  expect(validate(schema, parse(text)).map((error) => error.message)).toEqual([]);
});
test("a field that is not in the schema is found", () => {
  expect(validate(schema, parse("{ jobs { nodes { colour } } }"))).toHaveLength(1);
});
