import assert from "node:assert/strict";
import { test } from "node:test";
import { BusyError, Lane } from "./lane.ts";

const never = new AbortController().signal;

test("so many are inside, the next ones come in their order, and those too many are told at once", async () => {
  const lane = new Lane({ atOnceMax: 2, waitingMax: 2, waitMsMax: 60_000 });
  const entered: string[] = [];
  const enter = async (name: string) => {
    const leave = await lane.enter(never);
    entered.push(name);
    return leave;
  };
  const [leaveFirst] = [await enter("a"), await enter("b")];
  const [third, fourth] = [enter("c"), enter("d")];
  await assert.rejects(enter("e"), BusyError);
  assert.deepEqual(entered, ["a", "b"]);
  leaveFirst();
  leaveFirst(); // again is nothing
  const leaveThird = await third;
  assert.deepEqual(entered, ["a", "b", "c"]);
  leaveThird();
  await fourth;
  assert.deepEqual(entered, ["a", "b", "c", "d"]);
});

test("who waits too long or goes away leaves the line, and the place to the next", async () => {
  const lane = new Lane({ atOnceMax: 1, waitingMax: 9, waitMsMax: 20 });
  const leave = await lane.enter(never);
  await assert.rejects(lane.enter(never), /waited 20 ms/);
  const patient = new Lane({ atOnceMax: 1, waitingMax: 9, waitMsMax: 60_000 });
  const leavePatient = await patient.enter(never);
  const going = new AbortController();
  const gone = patient.enter(going.signal);
  const next = patient.enter(never);
  going.abort(new Error("gone"));
  await assert.rejects(gone, /gone/);
  leavePatient();
  (await next)();
  await assert.rejects(patient.enter(going.signal), /gone/);
  leave();
  (await lane.enter(never))();
});
