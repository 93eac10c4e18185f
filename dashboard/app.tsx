import { toast } from "./components/copy.ts";
import { Header } from "./components/header.tsx";
import { Help, showHelp } from "./components/help.tsx";
import { useShortcuts } from "./components/shortcuts.ts";
import { DevicePage } from "./devices/device-page.tsx";
import { DevicesPage } from "./devices/devices-page.tsx";
import { DocsPage } from "./docs/docs-page.tsx";
import { ExplorePage } from "./explore/explore-page.tsx";
import { HealthPage } from "./health/health-page.tsx";
import { LivePage } from "./live/live-page.tsx";
import { change, route, toHref, view } from "./state/location.ts";
import { nextTheme } from "./state/theme.ts";

export function App() {
  useShortcuts({
    "?": showHelp,
    t: nextTheme,
    u: () => change({ utc: !view.value.utc }, { replace: true }),
    "1": () => change({ open: "" }, { path: "/" }),
    "2": () => change({ open: "" }, { path: "/live" }),
    "3": () => change({ open: "" }, { path: "/devices" }),
    "4": () => change({ open: "" }, { path: "/health" }),
  });
  return (
    <>
      <Header />
      <Content path={route.value.path} />
      <Help />
      <div class="toast" role="status" hidden={toast.value === ""}>
        {toast.value}
      </div>
    </>
  );
}

function Content({ path }: { path: string }) {
  const [, first = "", second = ""] = path.split("/");
  if (first === "") return <ExplorePage />;
  if (first === "live") return <LivePage />;
  if (first === "devices" && second !== "")
    return <DevicePage key={second} deviceId={decodeURIComponent(second)} />;
  if (first === "devices") return <DevicesPage />;
  if (first === "health") return <HealthPage />;
  if (first === "docs") return <DocsPage />;
  return (
    <main class="page">
      <div class="notice">
        <h1>There is nothing at {path}</h1>
        <a class="button primary" href={toHref({}, "/")}>
          Explore the logs
        </a>
      </div>
    </main>
  );
}
