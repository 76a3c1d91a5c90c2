// GraphiQL, from this origin: queries, mutations and subscriptions against the API that serves the page.
import "graphiql/style.css";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import type { ReactElement } from "react";
import { subscriptions, token } from "../app/client";
import { useTitle } from "../app/shell";
import { texts } from "../texts/en";

const fetcher = createGraphiQLFetcher({
  url: "/graphql",
  headers: token() === "" ? {} : { authorization: `Bearer ${token()}` },
  wsClient: subscriptions(),
});
const BEGIN = `# All that Lookout shows is in this API.
query {
  queues(first: 5) {
    nodes {
      name
      weight
      stateCounts { state count }
    }
  }
}
`;

export function Explorer(): ReactElement {
  useTitle(texts.nav.explorer);
  return (
    <div className="explorer">
      <h1 className="hidden">{texts.nav.explorer}</h1>
      <GraphiQL fetcher={fetcher} defaultQuery={BEGIN} shouldPersistHeaders={false} />
    </div>
  );
}
