import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { Program, stopMsMax } from "./program.ts";

const silent = pino({ level: "silent" });

test("stops in reverse order, once", async () => {
  const program = new Program(silent);
  const stopped: string[] = [];
  for (const name of ["first", "second", "third"]) program.onStop(name, 1_000, () => void stopped.push(name));
  await Promise.all([program.stop(), program.stop()]);
  assert.deepEqual(stopped, ["third", "second", "first"]);
});

test("continues after a step that fails or never ends", async () => {
  const program = new Program(silent);
  const stopped: string[] = [];
  program.onStop("listener", 1_000, () => void stopped.push("listener"));
  program.onStop("hangs", 10, () => new Promise(() => {}));
  program.onStop("throws", 1_000, () => {
    throw new Error("no");
  });
  await program.stop();
  assert.deepEqual(stopped, ["listener"]);
});

test("refuses steps whose deadlines add up to more than 10 s", () => {
  const program = new Program(silent);
  program.onStop("drain", stopMsMax, () => undefined);
  assert.throws(() => program.onStop("one more", 1, () => undefined), /10001 ms with one more/);
});
