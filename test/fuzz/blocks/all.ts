import type { Block } from "../block.ts";
import { batches } from "./batches.ts";
import { calls } from "./calls.ts";
import { envelopes } from "./envelopes.ts";
import { frames } from "./frames.ts";
import { json } from "./json.ts";
import { lines } from "./lines.ts";
import { otlp } from "./otlp.ts";
import { queries } from "./queries.ts";
import { structured } from "./structured.ts";

export const allBlocks: readonly Block[] = [
  batches,
  calls,
  envelopes,
  frames,
  json,
  structured,
  lines,
  otlp,
  queries,
];
