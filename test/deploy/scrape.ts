/** Every metric with its labels, and the values each label was seen with. */
export type Metrics = Map<string, Map<string, Set<string>>>;

/** What the programs at these addresses, each host:port, show at /metrics. */
export async function scrape(addresses: readonly string[]): Promise<Metrics> {
  const metrics: Metrics = new Map();
  for (const address of addresses) {
    const response = await fetch(`http://${address}/metrics`);
    if (!response.ok) throw new Error(`${address}/metrics answers ${response.status}`);
    for (const line of (await response.text()).split("\n")) addLine(metrics, line);
  }
  return metrics;
}

/** `name{label="value",…} number`; the values of our labels hold no quotes. */
function addLine(metrics: Metrics, line: string): void {
  const [, name, labelsText = ""] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
  if (name === undefined) return;
  const labels = metrics.get(name) ?? new Map<string, Set<string>>();
  metrics.set(name, labels);
  for (const [, label = "", value = ""] of labelsText.matchAll(/(\w+)="([^"]*)"/g)) {
    labels.set(label, (labels.get(label) ?? new Set()).add(value));
  }
}
