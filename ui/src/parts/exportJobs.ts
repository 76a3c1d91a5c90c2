// The jobs of a filter as a CSV file, read page by page.
import { client, troubleOf } from "../app/client";
import { type Order, ROWS } from "../app/jobWindow";
import type { JobFilter } from "../gql/graphql";
import { csvLine, offer } from "../lib/csv";
import { texts } from "../texts/en";
import type { JobColumn } from "./jobColumns";

const PAGE = 200;
const ROWS_MAX = 50_000;

/** What is to be said about it afterwards; "" when the file holds everything. */
export async function exportJobs(filter: JobFilter, order: Order, columns: readonly JobColumn[], progress: (rows: number) => void): Promise<string> {
  const lines = [csvLine(columns.map((column) => column.key))];
  let after: string | null = null;
  let note = "";
  for (;;) {
    const variables: { filter: JobFilter; order: Order; first: number; after: string | null } = { filter, order, first: PAGE, after };
    const { data, error } = await client.query(ROWS, variables, { requestPolicy: "network-only" }).toPromise();
    if (error !== undefined || data === undefined) {
      note = error === undefined ? "" : troubleOf(error).message;
      break;
    }
    lines.push(...data.jobs.nodes.map((row) => csvLine(columns.map((column) => column.plain(row)))));
    progress(lines.length - 1);
    after = data.jobs.pageInfo.endCursor ?? null;
    if (!data.jobs.pageInfo.hasNextPage || after === null) break;
    if (lines.length > ROWS_MAX) {
      note = texts.jobs.exportCut(lines.length - 1);
      break;
    }
  }
  offer(`jobs-${new Date().toISOString().slice(0, 19).replace(/:/g, "")}.csv`, "text/csv", lines);
  return note;
}
