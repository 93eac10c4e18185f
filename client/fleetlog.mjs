#!/usr/bin/env node
// The command `fleetlog`. Plain JavaScript that runs on Node 20: client/main.ts needs Node 24, which the project's own
// dependencies bring along where the machine has an older one.

import { existsSync } from "node:fs";
import { enter } from "../local/bootstrap.mjs";

const isReady = existsSync(new URL("../node_modules/.package-lock.json", import.meta.url));
// The doctor looks at a whole installation, which is nothing of the client's.
if (process.argv[2] === "doctor") await enter("local/doctor.ts", process.argv.slice(3));
else if (isReady && Number.parseInt(process.versions.node, 10) >= 24) await import("./main.ts");
else await enter("client/main.ts", process.argv.slice(2));
