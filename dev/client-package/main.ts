import { join } from "node:path";
import { stateFolder } from "../folders.ts";
import { buildPackage } from "./build-package.ts";

// npm run pack:client -- [folder]: builds the package fleetlog-client and prints the path of its tarball.
console.log(await buildPackage(process.argv[2] ?? join(stateFolder, "client-package")));
