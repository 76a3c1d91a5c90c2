import "@fontsource-variable/inter/wght.css";
import "@mantine/core/styles.css";
import "./app/theme.css";
import { createTheme, MantineProvider, type MantineColorSchemeManager } from "@mantine/core";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode, useEffect, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { getPreferences, usePreferences } from "./app/preferences";
import { router } from "./app/router";

const THEME = createTheme({
  fontFamily: "'Inter Variable', system-ui, sans-serif",
  primaryColor: "teal",
  primaryShade: { light: 9, dark: 5 },
  colors: {
    teal: ["#e6f4f7", "#d3e8ec", "#a7d2da", "#77bac8", "#52a7b8", "#5ec4d6", "#2a94a8", "#177f92", "#0f7283", "#0b6475"],
  },
  autoContrast: true,
  defaultRadius: "sm",
  cursorType: "pointer",
});

// The theme is a preference of ours; Mantine follows it.
const schemes: MantineColorSchemeManager = {
  get: () => getPreferences().theme,
  set: () => undefined,
  subscribe: () => undefined,
  unsubscribe: () => undefined,
  clear: () => undefined,
};

const systemDark = matchMedia("(prefers-color-scheme: dark)");

function subscribeSystem(listener: () => void): () => void {
  systemDark.addEventListener("change", listener);
  return () => systemDark.removeEventListener("change", listener);
}

function useScheme(): "light" | "dark" {
  const { theme } = usePreferences();
  const isSystemDark = useSyncExternalStore(subscribeSystem, () => systemDark.matches);
  return theme === "auto" ? (isSystemDark ? "dark" : "light") : theme;
}

function App(): React.ReactElement {
  const scheme = useScheme();
  useEffect(() => {
    document.documentElement.dataset["mantineColorScheme"] = scheme;
  }, [scheme]);
  return (
    <MantineProvider theme={THEME} forceColorScheme={scheme} colorSchemeManager={schemes}>
      <RouterProvider router={router} />
    </MantineProvider>
  );
}

const root = document.getElementById("root");
if (root !== null) {
  const { theme } = getPreferences();
  const dark = theme === "dark" || (theme === "auto" && systemDark.matches);
  document.documentElement.dataset["mantineColorScheme"] = dark ? "dark" : "light";
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
