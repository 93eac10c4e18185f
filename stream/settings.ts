import { integer } from "#lib/config.ts";

/** STREAM_SHARDS: all programs have to be started with the same number. */
export const streamShards = integer(1, 1_024).prefault("4");
