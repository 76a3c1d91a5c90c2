// A job on a page of its own.
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { useTitle } from "../app/shell";
import { JobView } from "../parts/jobView";
import { Copy } from "../parts/pieces";
import { texts } from "../texts/en";

const route = getRouteApi("/jobs/$jobId");

export function JobPage(): ReactElement {
  const { jobId } = route.useParams();
  useTitle(`${texts.job.title} ${jobId.slice(-10)}`);
  return (
    <div className="page">
      <div className="head">
        <div className="crumbs">
          <Link to="/jobs">{texts.jobs.title}</Link>
          <span aria-hidden>/</span>
          <h1 className="mono" style={{ fontSize: 15 }}>{jobId}</h1>
        </div>
        <Copy value={jobId} />
      </div>
      <JobView id={jobId} page />
    </div>
  );
}
