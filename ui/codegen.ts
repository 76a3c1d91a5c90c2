// Types of every query of the UI, from the committed schema. A query that is not in the schema fails here.
import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../app/api/schema.graphql",
  documents: ["src/**/*.{ts,tsx}", "!src/gql/**"],
  generates: {
    "./src/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        scalars: {
          DateTime: "string",
          Cursor: "string",
          Position: "string",
          Quantity: "string",
          Long: "number",
          JSON: "unknown",
        },
      },
    },
  },
};

export default config;
