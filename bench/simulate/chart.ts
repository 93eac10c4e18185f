/** A line of a chart; gaps where the value is undefined. */
export interface Series {
  readonly name: string;
  /** The name of a CSS colour variable: "a", "b", "c". */
  readonly color: string;
  readonly points: readonly (readonly [x: number, y: number | undefined])[];
}

const size = { width: 720, height: 240, left: 64, right: 12, top: 12, bottom: 34 };

/** A chart as inline SVG, without a script; each point shows its values on hover. */
export function lineChart(
  title: string,
  series: readonly Series[],
  options: { readonly x: readonly Tick[]; readonly format: (y: number) => string },
): string {
  const xs = series.flatMap(({ points }) => points.map(([x]) => x));
  const ys = series.flatMap(({ points }) => points.map(([, y]) => y ?? 0));
  const [xMin, xMax] = [Math.min(...xs, 0), Math.max(...xs, 1e-9)];
  const yMax = niceCeiling(Math.max(...ys, 1), [1, 2, 4, 8]);
  const toX = (x: number) => size.left + ((x - xMin) / (xMax - xMin)) * (size.width - size.left - size.right);
  const toY = (y: number) => size.height - size.bottom - (y / yMax) * (size.height - size.top - size.bottom);

  const rows = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const y = toY(part * yMax).toFixed(1);
    return `<line class="grid" x1="${size.left}" x2="${size.width - size.right}" y1="${y}" y2="${y}"/><text class="tick" x="${size.left - 6}" y="${y}" dy="4" text-anchor="end">${options.format(part * yMax)}</text>`;
  });
  const columns = options.x.map(
    ({ at, label }) =>
      `<text class="tick" x="${toX(at).toFixed(1)}" y="${size.height - 12}" text-anchor="middle">${label}</text>`,
  );
  const lines = series.map(({ name, color, points }) => {
    const known = points.filter((point): point is readonly [number, number] => point[1] !== undefined);
    const path = known.map(([x, y], at) => `${at ? "L" : "M"}${toX(x).toFixed(1)},${toY(y).toFixed(1)}`);
    const dots = known.map(
      ([x, y]) =>
        `<circle r="5" cx="${toX(x).toFixed(1)}" cy="${toY(y).toFixed(1)}"><title>${name}: ${options.format(y)}</title></circle>`,
    );
    return `<g class="series" style="--line:var(--${color})"><path d="${path.join("")}"/>${dots.join("")}</g>`;
  });
  const legend = series.map(({ name, color }) => `<span style="--line:var(--${color})">${name}</span>`);
  return `<figure><figcaption>${title} <span class="legend">${legend.join("")}</span></figcaption>
<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${title}">${rows.join("")}${columns.join("")}${lines.join("")}</svg></figure>`;
}

export interface Tick {
  readonly at: number;
  readonly label: string;
}

/** About six ticks at whole numbers of seconds. */
export function secondTicks(seconds: number): readonly Tick[] {
  const step = niceCeiling(Math.max(1, seconds / 6));
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, at) => {
    return { at: at * step, label: `${Math.round(at * step)} s` };
  });
}

/** The next of 1, 2, 5, 10, 20 … or of other `factors` times a power of ten. */
function niceCeiling(value: number, factors: readonly number[] = [1, 2, 5]): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return (factors.find((factor) => factor * power >= value) ?? 10) * power;
}
