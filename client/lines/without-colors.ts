const escape = 0x1b;
/** No time and no severity is further into a line. */
const headBytesMax = 1_024;
const colors = new RegExp(`${String.fromCharCode(escape)}\\[[\\d;]*m`, "g");

/** The line as a terminal shows it, for reading it: many programs color what they write into pipes and files, too. */
export function withoutColors(line: Buffer): Buffer {
  const at = line.indexOf(escape);
  if (at < 0 || at >= headBytesMax) return line;
  return Buffer.from(line.toString("latin1").replaceAll(colors, ""), "latin1");
}
