import { epochNanos } from "#batch/structured/epoch-time.ts";
import { type TimeFormat, toLineTime } from "#client/lines/time-formats.ts";
import { readZone, toMillis } from "#client/lines/time-zone.ts";

const months = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");

/** The pattern of each directive, whose group is named after its letter. */
const directives: Readonly<Record<string, string>> = {
  Y: "(?<Y>\\d{4})",
  y: "(?<y>\\d\\d)",
  m: "(?<m>\\d\\d?)",
  d: "(?<d>[ \\d]?\\d)",
  e: "(?<d>[ \\d]?\\d)",
  b: "(?<b>[A-Za-z]{3})[a-z]*",
  B: "(?<b>[A-Za-z]{3})[a-z]*",
  a: "[A-Za-z]{2,9}",
  A: "[A-Za-z]{2,9}",
  H: "(?<H>[ \\d]?\\d)",
  I: "(?<I>[ \\d]?\\d)",
  p: "(?<p>[AaPp])\\.?[Mm]\\.?",
  M: "(?<M>\\d\\d?)",
  S: "(?<S>\\d\\d?)",
  f: "(?<f>\\d+)",
  z: "(?<z>Z|[+-]\\d\\d(?::?\\d\\d)?|[A-Z]{1,5})",
  Z: "(?<z>Z|[+-]\\d\\d(?::?\\d\\d)?|[A-Z]{1,5})",
  s: "(?<s>\\d{10,19})",
  "%": "%",
};
const shorthand: Readonly<Record<string, string>> = {
  F: "%Y-%m-%d",
  T: "%H:%M:%S",
  D: "%m/%d/%y",
  R: "%H:%M",
};

/**
 * A format in the directives of strptime, wherever it first fits near the beginning of a line: %Y %y %m %d %e %b %B %a %A %H %I %p %M %S
 * %f (fraction, any digits) %z %Z (offset or a known name) %s (since 1970: s, ms, µs or ns) %F %T %D %R %%. Throws RangeError.
 */
export function timePattern(text: string): TimeFormat {
  const expanded = text.replaceAll(/%([FTDR])/g, (_, letter: string) => shorthand[letter] ?? "");
  const source = expanded.replaceAll(/%(.?)|[^%]/g, (part, letter: string | undefined) => {
    if (letter === undefined) return part.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
    const directive = directives[letter];
    if (directive === undefined)
      throw new RangeError(
        `%${letter} is not a directive, expected one of %${Object.keys(directives).join(" %")} %F %T %D %R`,
      );
    return directive;
  });
  const wanted =
    /%s/.test(expanded) || (/%d|%e/.test(expanded) && /%m|%b|%B/.test(expanded) && /%H|%I/.test(expanded));
  if (!wanted) throw new RangeError("requires %s, or a day, a month and an hour");
  let pattern: RegExp;
  try {
    pattern = new RegExp(`(?<!\\d)(?:${source})(?!\\d)`);
  } catch {
    throw new RangeError("has the same part of a time twice");
  }
  return {
    name: text,
    read(head, context) {
      const match = pattern.exec(head);
      const groups = match?.groups;
      if (!match || !groups) return undefined;
      const end = match.index + match[0].length;
      if (groups["s"] !== undefined) {
        const timeUnixNano = epochNanos(groups["s"], groups["f"]);
        return timeUnixNano === undefined ? undefined : { timeUnixNano, end };
      }
      const zone = groups["z"] === undefined ? readZone(head, end) : readZone(groups["z"], 0);
      if (zone.kind === "unclear" || (groups["z"] !== undefined && zone.kind === "none")) return undefined;
      const half = groups["p"]?.toLowerCase();
      const hour =
        half === undefined
          ? Number(groups["H"] ?? groups["I"])
          : (Number(groups["I"] ?? groups["H"]) % 12) + (half === "p" ? 12 : 0);
      const now = new Date(context.nowMs).getUTCFullYear();
      const year = groups["Y"] ?? (groups["y"] === undefined ? now : 2000 + Number(groups["y"]));
      const month = groups["m"] ?? months.indexOf(groups["b"]?.toLowerCase() ?? "") + 1;
      const at = (year: number) =>
        toMillis(
          [
            year,
            Number(month),
            Number(groups["d"]),
            hour,
            Number(groups["M"] ?? 0),
            Number(groups["S"] ?? 0),
          ],
          zone.kind === "offset" ? zone.minutes : context.zone,
        );
      let ms = at(Number(year));
      if (groups["Y"] === undefined && groups["y"] === undefined && (ms ?? 0) > context.nowMs + 86_400_000)
        ms = at(now - 1);
      return ms === undefined ? undefined : toLineTime(ms, groups["f"], end);
    },
  };
}
