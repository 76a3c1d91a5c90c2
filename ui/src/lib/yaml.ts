// Plain data as YAML, in the order of its keys. Only what JSON can hold.

const PLAIN = /^[A-Za-z_/][A-Za-z0-9_./@=+-]*$/;
const WORDS = new Set(["true", "false", "null", "yes", "no", "on", "off", "y", "n"]);

function scalar(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value ?? null);
  return PLAIN.test(value) && !WORDS.has(value.toLowerCase()) ? value : JSON.stringify(value);
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

export function toYaml(value: unknown, indent = ""): string {
  if (typeof value !== "object" || value === null) return `${indent}${scalar(value)}\n`;
  if (isEmpty(value)) return `${indent}${Array.isArray(value) ? "[]" : "{}"}\n`;
  if (Array.isArray(value)) {
    return value.map((item) => {
      if (typeof item !== "object" || item === null || isEmpty(item)) return `${indent}- ${toYaml(item).trimEnd()}\n`;
      return `${indent}- ${toYaml(item, `${indent}  `).slice(indent.length + 2)}`;
    }).join("");
  }
  return Object.entries(value).map(([key, item]) => {
    const name = scalar(key);
    const isNested = typeof item === "object" && item !== null && !isEmpty(item);
    return isNested ? `${indent}${name}:\n${toYaml(item, Array.isArray(item) ? indent : `${indent}  `)}` : `${indent}${name}: ${toYaml(item).trimEnd()}\n`;
  }).join("");
}
