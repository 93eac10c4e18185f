import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { projectFolder } from "#dev/folders.ts";

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly {
    readonly datasource: { readonly uid: string };
    readonly expr?: string;
    readonly rawSql?: string;
    readonly legendFormat?: string;
  }[];
}

export interface Dashboard {
  readonly file: string;
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

const dashboardsFolder = join(projectFolder, "deploy/grafana/dashboards");
export const prometheusFolder = join(projectFolder, "deploy/prometheus");

export const alerts = (
  parse(readFileSync(join(prometheusFolder, "alerts.yml"), "utf8")) as {
    groups: readonly { readonly rules: readonly Alert[] }[];
  }
).groups.flatMap(({ rules }) => rules);

export const dashboards: readonly Dashboard[] = readdirSync(dashboardsFolder).map((file) => ({
  file,
  ...(JSON.parse(readFileSync(join(dashboardsFolder, file), "utf8")) as Omit<Dashboard, "file">),
}));

/** Every query of every panel, with the place it stands at. */
export const queries = dashboards.flatMap(({ title, panels }) =>
  panels.flatMap((panel) =>
    panel.targets.map((target) => ({ ...target, place: `${title} / ${panel.title}` })),
  ),
);
