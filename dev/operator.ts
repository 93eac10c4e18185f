import { stateFolder } from "./folders.ts";
import { readNotes } from "./notes.ts";

// `fleetlog dead-letters` and `fleetlog retention`: for the database that DATABASE_URL names, else for what `npm start`
// runs in this folder.

if (!process.env.DATABASE_URL) {
  const notes = await readNotes(process.env.FLEETLOG_FOLDER || stateFolder);
  if (notes === undefined) {
    process.stderr.write(
      "npm start does not run in this folder: set DATABASE_URL for another installation.\n",
    );
  } else {
    process.env.DATABASE_URL = notes["DATABASE_URL"];
    process.env.REDIS_URL ||= notes["OPERATOR_REDIS_URL"];
    process.env.STREAM_SHARDS ||= notes["STREAM_SHARDS"];
  }
}
await import("#dead-letters/main.ts");
