import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCondition, type LogFilter, noFilter, readView, writeView } from "../state/view.ts";
import { listChips } from "./chips.ts";

const view = readView(
  new URLSearchParams(
    "device=a&device=b&-device=c&severity=info&level=warn&level=fatal&logger=net&-logger=x&q=one&attribute=unit%3D1&attribute=zone&-attribute=e%3Df&session=s&trace=0af7",
  ),
);
const names = Object.keys(noFilter) as (keyof LogFilter)[];

test("every condition has a chip for each of its values, or a control of its own", () => {
  const shown = names.map((name) => {
    assert.ok(hasCondition(view, name), `${name} is set`);
    const chips = listChips({ ...noFilter, [name]: view[name] });
    return [name, chips.map((chip) => `${chip.isExcluded ? "not " : ""}${chip.name}: ${chip.value}`)];
  });
  assert.deepEqual(Object.fromEntries(shown), {
    devices: ["device: a", "device: b"],
    excludedDevices: ["not device: c"],
    minLevel: [],
    levels: ["levels: WARN FATAL"],
    logger: ["logger: net…"],
    excludedLoggers: ["not logger: x…"],
    search: [],
    attributes: ["unit: 1", "zone: undefined"],
    excludedAttributes: ["not e: f"],
    session: ["session: s"],
    trace: ["trace: 0af7"],
  });
});

test("a chip removes its own value and nothing else; all chips together remove all that they show", () => {
  const [first, second] = listChips(view);
  assert.deepEqual([first?.without, second?.without], [{ devices: ["b"] }, { devices: ["a"] }]);
  let left: LogFilter = view;
  for (let [chip] = listChips(left); chip !== undefined; [chip] = listChips(left))
    left = { ...left, ...chip.without };
  const { search, minLevel } = view;
  assert.deepEqual(
    writeView({ ...view, ...left }).toString(),
    writeView({ ...view, ...noFilter, search, minLevel }).toString(),
  );
});
