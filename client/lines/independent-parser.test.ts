import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { DateTime } from "luxon";
import { TimeReader } from "#client/lines/time-reader.ts";

// Luxon writes random instants in log formats and random zones; the reader must return the same instant.

const zones = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Asia/Kolkata",
  "Australia/Lord_Howe",
  "Pacific/Auckland",
];
const tailCharacters = " + - : . , 0 1 2 3 4 5 6 7 8 9 Z z U T C I S P D E a b c [ ] ( )"
  .split(" ")
  .map((text) => text || " ");
const instants = fc.integer({ min: Date.UTC(2001, 8, 10), max: Date.UTC(2099, 0, 1) });

/**
 * Luxon's format and its precision in milliseconds. The format has an offset, or the reader gets the
 * zone.
 */
const formats: readonly [format: string, exactMs: number][] = [
  ["yyyy-MM-dd'T'HH:mm:ss.SSSZZ", 1],
  ["yyyy-MM-dd HH:mm:ss,SSS", 1],
  ["yyyy/MM/dd HH:mm:ss", 1_000],
  ["yyyy-MM-dd HH:mm:ss ZZZ", 1_000],
  ["yyyyMMdd'T'HHmmssZZ", 1_000],
  ["'<34>1' yyyy-MM-dd'T'HH:mm:ss.SSSZZ", 1],
  ["EEE MMM d HH:mm:ss yyyy", 1_000],
  ["EEE, dd MMM yyyy HH:mm:ss ZZZ", 1_000],
  ["'10.0.0.1 - - ['dd/MMM/yyyy:HH:mm:ss ZZZ']'", 1_000],
  ["MMM d, yyyy h:mm:ss a", 1_000],
  ["'1:M' dd MMM yyyy HH:mm:ss.SSS '*'", 1],
  ["kkkk-'W'WW-c'T'HH:mm:ssZZ", 1_000],
  ["yyyy-ooo'T'HH:mm:ssZZ", 1_000],
];

describe("the reader parses what an independent library formats:", () => {
  for (const [format, exactMs] of formats) {
    test(format, () => {
      fc.assert(
        fc.property(instants, fc.constantFrom(...zones), (atMs, zone) => {
          const written = DateTime.fromMillis(atMs - (atMs % exactMs), { zone, locale: "en-US" });
          // In the hour that comes twice in autumn a time without an offset means two instants.
          const isTwice = !/Z/.test(format) && written.getPossibleOffsets().length > 1;
          fc.pre(!isTwice);
          const line = `${written.toFormat(format)} something`;
          const { time } = new TimeReader({ zone }).read(Buffer.from(line));
          assert.equal(time, BigInt(written.toMillis()) * 1_000_000n, `${line} in ${zone}`);
        }),
        { numRuns: 200 },
      );
    });
  }

  test("a time without a year is in the year that ends at the file's time", () => {
    fc.assert(
      fc.property(instants, fc.integer({ min: 0, max: 360 }), (nowMs, daysAgo) => {
        const written = DateTime.fromMillis(nowMs, { zone: "UTC", locale: "en-US" })
          .startOf("second")
          .minus({ days: daysAgo });
        const line = `${written.toFormat("MMM")} ${String(written.day).padStart(2)} ${written.toFormat("HH:mm:ss")} host x`;
        const { time } = new TimeReader({ zone: 0, nowMs }).read(Buffer.from(line));
        assert.equal(time, BigInt(written.toMillis()) * 1_000_000n, line);
      }),
      { numRuns: 300 },
    );
  });
});

test("any text after the seconds leaves the time unchanged or makes it none", () => {
  const plain = "2026-11-27T17:01:02";
  const wanted = BigInt(Date.parse(`${plain}Z`)) * 1_000_000n;
  const tail = fc.string({ unit: fc.constantFrom(...tailCharacters), maxLength: 12 });
  fc.assert(
    fc.property(tail, (text) => {
      const { time } = new TimeReader({ zone: 0 }).read(Buffer.from(plain + text));
      if (time === undefined) return;
      // A tail that was read as an offset is one that the independent library reads too.
      const seconds = Number(time - (time % 1_000_000_000n) - wanted) / 1e9;
      if (seconds === 0) return;
      const named = /^(?:[.,:]\d+)? ?(?:UTC|GMT)?([+-]\d\d(?::?\d\d)?|[+-]\d)/i.exec(text)?.[1];
      const isAbbreviation = /^(?:[.,:]\d+)? ?\(?[A-Za-z]+/.test(text);
      const isHalf = /^(?:[.,:]\d+)? ?[AP]\.?M/i.test(text);
      assert(named !== undefined || isAbbreviation || isHalf, `${plain}${text}: ${seconds}`);
      if (named?.length === 6 && !isAbbreviation) {
        const read = DateTime.fromISO(`${plain}${named}`, { setZone: true });
        assert(read.isValid && read.toMillis() * 1e6 === Number(time - (time % 1_000_000_000n)), text);
      }
      assert(Math.abs(seconds) <= 14 * 3_600, text);
    }),
    { numRuns: 5_000 },
  );
});
