#!/usr/bin/env node
// The command `fleetlog`. Plain JavaScript that runs on Node 20: the programs behind it need Node 24, which the project's
// own dependencies bring along where the machine has an older one. `dead-letters` and `retention` are for operators and a
// program of their own, because they speak with Redis and PostgreSQL; dev/operator.ts finds those of `npm start`.

import { existsSync } from "node:fs";
import { enter } from "../dev/bootstrap.mjs";

const isReady = existsSync(new URL("../node_modules/.package-lock.json", import.meta.url));
const command = process.argv[2];
const program = ["dead-letters", "retention"].includes(command) ? "dev/operator.ts" : "client/main.ts";
if (command === "dead-letters") process.argv.splice(2, 1);
// The doctor looks at a whole installation, which is nothing of the client's.
if (command === "doctor") await enter("dev/doctor.ts", process.argv.slice(3));
else if (isReady && Number.parseInt(process.versions.node, 10) >= 24) await import(`../${program}`);
else await enter(program, process.argv.slice(2));
