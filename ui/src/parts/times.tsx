// Times and ages: relative with the absolute time on hover, or the other way round, as the person prefers.
import type { ReactElement } from "react";
import { useNow } from "../app/clock";
import { usePreferences } from "../app/preferences";
import { absolute, age, ago, duration, ms } from "../lib/format";
import { texts } from "../texts/en";

export function Time({ at }: { at: string | null | undefined }): ReactElement {
  const { zone, absolute: wantsAbsolute } = usePreferences();
  const now = useNow();
  if (!at) return <span className="muted">{texts.common.none}</span>;
  const time = ms(at);
  const [shown, hidden] = [absolute(time, zone), ago(now - time)];
  return (
    <time dateTime={at} title={wantsAbsolute ? hidden : shown} className="nowrap">
      {wantsAbsolute ? shown : hidden}
    </time>
  );
}

/** How long something has lasted, or lasted until `end`. */
export function Lasting({ since, end, exact = false }: { since: string | null | undefined; end?: string | null; exact?: boolean }): ReactElement {
  const { zone } = usePreferences();
  const now = useNow();
  if (!since) return <span className="muted">{texts.common.none}</span>;
  const lasted = Math.max(0, (end ? ms(end) : now) - ms(since));
  return (
    <span title={`${absolute(ms(since), zone)}${end ? ` – ${absolute(ms(end), zone)}` : ""}`} className="nowrap">
      {exact ? duration(lasted) : age(lasted)}
    </span>
  );
}
