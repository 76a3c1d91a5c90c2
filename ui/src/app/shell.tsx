// The frame of every page: navigation, the way to change how things look, the note when the API is away.
import { ActionIcon, Menu, SegmentedControl, Switch, Text } from "@mantine/core";
import {
  IconAdjustments, IconBrandGraphql, IconBriefcase, IconCpu, IconHeartbeat, IconKeyboard, IconLayoutDashboard, IconListDetails, IconRotateClockwise2, IconStack2,
} from "@tabler/icons-react";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { lazy, type ReactElement, Suspense, useEffect, useState } from "react";
import { Boundary, Loading } from "../parts/outcomes";
import { texts } from "../texts/en";
import { setToken, token } from "./client";
import { usePageKeys } from "./keys";
import { setPreferences, type Theme, usePreferences } from "./preferences";

const KeysDialog = lazy(async () => ({ default: (await import("../parts/keysDialog")).KeysDialog }));

const PAGES = [
  { to: "/", label: texts.nav.overview, icon: IconLayoutDashboard },
  { to: "/jobs", label: texts.nav.jobs, icon: IconListDetails },
  { to: "/sets", label: texts.nav.jobSets, icon: IconBriefcase },
  { to: "/queues", label: texts.nav.queues, icon: IconStack2 },
  { to: "/nodes", label: texts.nav.nodes, icon: IconCpu },
  { to: "/rounds", label: texts.nav.rounds, icon: IconRotateClockwise2 },
  { to: "/health", label: texts.nav.health, icon: IconHeartbeat },
  { to: "/explorer", label: texts.nav.explorer, icon: IconBrandGraphql },
] as const;

/** The entry of the navigation that a page belongs to. */
export function placeOf(path: string): string {
  if (path.startsWith("/sets") || /^\/queues\/[^/]+\/sets\//.test(path)) return "/sets";
  if (path.startsWith("/clusters")) return "/nodes";
  return path === "/" ? "/" : `/${path.split("/")[1] ?? ""}`;
}

export function Shell(): ReactElement {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const navigate = useNavigate();
  const [help, setHelp] = useState(false);
  usePageKeys((to) => void navigate({ to }), () => setHelp(true));
  return (
    <div className="shell">
      <a className="skip" href="#content">{texts.nav.skip}</a>
      <nav className="side" aria-label={texts.nav.main}>
        <Link to="/" className="brand">
          <img src="/favicon.svg" alt="" />
          <span>{texts.product}</span>
        </Link>
          {PAGES.map(({ to, label, icon: Icon }) => (
            <Link key={to} to={to} className={placeOf(path) === to ? "nav on" : "nav"} aria-current={placeOf(path) === to ? "page" : undefined} title={label}>
              <Icon size={17} stroke={1.7} aria-hidden style={{ flex: "none" }} />
              <span>{label}</span>
            </Link>
          ))}
        <div className="spacer" />
        <div className="tools">
          <Display />
          <ActionIcon variant="subtle" color="gray" aria-label={texts.keys.title} title={`${texts.keys.title} (?)`} onClick={() => setHelp(true)}><IconKeyboard size={18} stroke={1.7} /></ActionIcon>
        </div>
      </nav>
      <main id="content" className="content">
        <Boundary at={path}>
          <Suspense fallback={<div className="page"><Loading rows={8} /></div>}>
            <Outlet />
          </Suspense>
        </Boundary>
      </main>
      {help ? <Suspense fallback={null}><KeysDialog onClose={() => setHelp(false)} /></Suspense> : null}
    </div>
  );
}

function Display(): ReactElement {
  const { theme, zone, absolute } = usePreferences();
  return (
    <Menu position="right-end" withArrow closeOnItemClick={false} width={250}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={texts.common.display} title={texts.common.display}>
          <IconAdjustments size={18} stroke={1.7} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{texts.common.theme}</Menu.Label>
        <SegmentedControl
          fullWidth
          size="xs"
          aria-label={texts.common.theme}
          value={theme}
          onChange={(value) => setPreferences({ theme: value as Theme })}
          data={[
            { value: "light", label: texts.common.light },
            { value: "dark", label: texts.common.dark },
            { value: "auto", label: texts.common.system },
          ]}
        />
        <Menu.Label mt={6}>{texts.common.absolute}</Menu.Label>
        <Switch size="xs" px={10} pb={6} label={texts.common.absolute} checked={absolute} onChange={(event) => setPreferences({ absolute: event.currentTarget.checked })} />
        <Switch size="xs" px={10} pb={8} label={texts.common.utc} checked={zone === "utc"} onChange={(event) => setPreferences({ zone: event.currentTarget.checked ? "utc" : "local" })} />
        {token() === "" ? null : <Menu.Item onClick={() => setToken("")}>{texts.common.signOut}</Menu.Item>}
        <Menu.Divider />
        <Menu.Label>
          <Text size="xs" c="dimmed">{texts.product} · Argosy</Text>
        </Menu.Label>
      </Menu.Dropdown>
    </Menu>
  );
}

/** The name in the browser's tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · ${texts.product}`;
  }, [title]);
}
