import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Random } from "#batch/testing/random.ts";
import { foldCase } from "./fold-case.ts";
import { mergeSummaries } from "./merge-summaries.ts";
import { SearchTerms } from "./search-terms.ts";
import { isComplete, readMask, readSegments, type Segment } from "./slices.ts";
import { type Summary, SummaryWriter } from "./summary-writer.ts";

const idsPerMs = 1n << 20n;

describe("a summary", () => {
  test("has every part of every message in any case, whatever the characters", () => {
    const random = new Random(5);
    for (let round = 0; round < 300; round++) {
      const messages = random.list(20, () => randomText(random, 40));
      const summary = summarize(messages);
      for (const message of messages) {
        const part = randomPart(random, message);
        for (const text of [part, part.toUpperCase(), foldCase(part)]) {
          // Upper case of one character may be several, which the message then has not.
          if (!foldCase(message).includes(foldCase(text))) continue;
          assert.ok(
            mayHave(summary, (terms) => terms.addText(text)),
            `${part} of ${message}`,
          );
        }
      }
    }
  });

  test("has each message that the fold of one character makes equal", () => {
    for (const [message, text] of [
      ["İstanbul", "istanbul"],
      ["istanbul", "İSTANBUL"],
      ["300 \u212a", "300 k"],
      ["ΟΔΟΣ", "οδοσ"],
      ["Straße GRÖSSE", "größe".toUpperCase().replace("SS", "ß")],
      ["𐐀𐐁𐐂 deseret", "𐐨𐐩𐐪 DESERET"],
      ["日本語", "本"],
    ] as const) {
      if (!foldCase(message).includes(foldCase(text))) continue;
      assert.ok(
        mayHave(summarize([message]), (terms) => terms.addText(text)),
        `${text} in ${message}`,
      );
    }
  });

  test("does not have a word that no message has", () => {
    const summary = summarize(["temperature 21.5 C", "GET /status 200"]);
    assert.ok(!mayHave(summary, (terms) => terms.addText("brownout")));
    assert.ok(!mayHave(summary, (terms) => terms.addText("本")));
    assert.ok(!mayHave(summary, (terms) => terms.addLoggerPrefix("n")));
    assert.ok(!mayHave(summary, (terms) => terms.addAttributeName("sensor")));
  });

  test("has the first and the last term of each slice", () => {
    for (const count of [1, 3000]) {
      const writer = new SummaryWriter();
      addBatch(writer, 5n, [], 1);
      const terms = [0, 65_535, ...Array.from({ length: count }, (_, index) => (index * 255) % 65_536)];
      for (const term of terms) writer.terms.add(term);
      const [{ slices }] = writer.finish() as [Summary];
      assert.ok(isComplete(slices));
      const bySlice = new Map(slices.map(({ slice, bytes }) => [slice, bytes]));
      const found = Array.from({ length: 65_536 }, (_, term) => term).filter(
        (term) => readMask(bySlice, 1, term) !== 0,
      );
      assert.deepEqual(
        found,
        [...new Set(terms)].sort((a, b) => a - b),
      );
    }
  });

  test("cannot tell about a text below three bytes, nor about half a character", () => {
    for (const text of ["", "xy", "é", "\ud83d"]) {
      const terms = new SearchTerms();
      terms.addText(text);
      assert.ok(terms.isEmpty, text);
    }
  });

  test("has the beginnings of loggers, and not their middles", () => {
    const summary = summarize([], ({ terms }) => terms.addLogger(Buffer.from("net.wifi"), 0, 8));
    for (const prefix of ["n", "ne", "net", "net.wifi"]) {
      assert.ok(
        mayHave(summary, (terms) => terms.addLoggerPrefix(prefix)),
        prefix,
      );
    }
    for (const prefix of ["w", "wifi", "net.wifi2", "NET"]) {
      assert.ok(!mayHave(summary, (terms) => terms.addLoggerPrefix(prefix)), prefix);
    }
  });

  test("has attributes by name and by value, and traces", () => {
    const [name, value, trace] = [Buffer.from("broker"), Buffer.from("eu-west"), Buffer.alloc(16, 7)];
    const summary = summarize([], ({ terms }) => {
      terms.addAttributeName(name, 0, name.length);
      terms.addAttribute(name, 0, name.length, value, 0, value.length);
      terms.addTraceId(trace, 0, trace.length);
    });
    assert.ok(mayHave(summary, (terms) => terms.addAttributeName("broker")));
    assert.ok(mayHave(summary, (terms) => terms.addAttribute("broker", ["us-east", "eu-west"])));
    assert.ok(mayHave(summary, (terms) => terms.addTraceId(trace)));
    assert.ok(!mayHave(summary, (terms) => terms.addAttribute("broker", ["us-east", "eu-north"])));
    assert.ok(!mayHave(summary, (terms) => terms.addAttribute("eu-west", ["broker"])));
    assert.ok(!mayHave(summary, (terms) => terms.addTraceId(Buffer.alloc(16, 8))));
  });

  test("says which segments have a term, and all terms of one search must be in one segment", () => {
    const writer = new SummaryWriter();
    const messages = Array.from(
      { length: 70 },
      (_, index) => `message number ${index}! ${"x".repeat(index)}`,
    );
    for (const [index, message] of messages.entries())
      addBatch(writer, BigInt(index) * idsPerMs, [message], 1024);
    const summaries = writer.finish();
    assert.deepEqual(
      summaries.map(({ firstId, lastId }) => [firstId / idsPerMs, lastId / idsPerMs]),
      [
        [0n, 31n],
        [32n, 63n],
        [64n, 69n],
      ],
    );
    for (const [index] of messages.entries()) {
      const found = matching(summaries, (terms) => terms.addText(`number ${index}!`));
      assert.deepEqual(found, [BigInt(index)]);
    }
    assert.equal(matching(summaries, (terms) => terms.addText("message number")).length, 70);
  });

  test("keeps apart batches of other days, and those that arrived much later", () => {
    const writer = new SummaryWriter();
    const day = 86_400_000;
    for (const ms of [0, 1, 50_000, 200_000, 599_999, 600_000, day - 1, day, day - 2]) {
      addBatch(writer, BigInt(ms) * idsPerMs, ["a"], 1);
    }
    const segments = writer
      .finish()
      .map(({ slices }) =>
        readSegments(slices[0]!.bytes)!.map(({ firstId, lastId }) => [
          Number(firstId / idsPerMs),
          Number(lastId / idsPerMs),
        ]),
      );
    assert.deepEqual(segments, [
      [
        [0, 50_000],
        [200_000, 200_000],
        [599_999, 599_999],
      ],
      [[600_000, 600_000]],
      [[day - 1, day - 1]],
      [[day, day]],
      [[day - 2, day - 2]],
    ]);
  });

  test("narrows nothing where a slice is missing, and knows nothing without its segments", () => {
    const writer = new SummaryWriter();
    const random = new Random(1);
    addBatch(
      writer,
      5n,
      Array.from({ length: 3000 }, () => randomText(random, 200)),
      3000,
    );
    const [{ slices }] = writer.finish() as [Summary];
    assert.ok(slices.length > 4);
    const terms = new SearchTerms();
    terms.addText("brownout");
    const [header] = slices;
    assert.equal(terms.matchingSegments(new Map([[0, header!.bytes]]))?.matching.length, 1);
    assert.equal(terms.matchingSegments(new Map()), undefined);
    assert.equal(terms.matchingSegments(new Map([[0, header!.bytes.subarray(1)]])), undefined);
  });

  test("merged with others has all that they have, in fewer segments", () => {
    const random = new Random(8);
    const texts = Array.from({ length: 90 }, () => randomText(random, 60));
    const small = texts.map((text, index) => {
      const writer = new SummaryWriter();
      // Ids of concurrent flushes are mixed.
      const ids = [index, 90 - index].map((ms) => BigInt(ms * 2000 + (index % 2)) * idsPerMs + BigInt(index));
      for (const id of ids) addBatch(writer, id, [text, `unique ${index}!`], 10);
      return writer.finish();
    });
    const merged = mergeSummaries(small.flat());
    assert.equal(merged.length, 1);
    assert.ok(readSegments(merged[0]!.slices[0]!.bytes)!.length <= 6);
    for (const [index, text] of texts.entries()) {
      for (const part of [randomPart(random, text), `unique ${index}!`]) {
        const own = spansWith(small[index]!, part);
        const found = spansWith(merged, part);
        for (const { firstId, lastId } of own) {
          assert.ok(
            found.some((span) => span.firstId <= firstId && lastId <= span.lastId),
            `${index} ${part}`,
          );
        }
      }
    }
    assert.deepEqual(spansWith(merged, "brownout"), []);
  });

  test("that cannot be read is kept when others are merged", () => {
    const [one, other, third] = [1n, 2n, 3n].map((id) => {
      const writer = new SummaryWriter();
      addBatch(writer, id, ["calm"], 1);
      return writer.finish()[0]!;
    }) as [Summary, Summary, Summary];
    const damaged = { ...one, slices: one.slices.slice(0, 1) };
    const merged = mergeSummaries([damaged, other, third]);
    assert.equal(merged[0], damaged);
    assert.deepEqual(
      merged.map(({ firstId, lastId }) => [firstId, lastId]),
      [
        [1n, 1n],
        [2n, 3n],
      ],
    );
  });

  test("of a writer that is used again has nothing of what was before", () => {
    const writer = new SummaryWriter();
    addBatch(writer, 5n, ["brownout"], 1);
    writer.finish();
    writer.clear();
    addBatch(writer, 6n, ["calm"], 1);
    assert.deepEqual(
      matching(writer.finish(), (terms) => terms.addText("brownout")),
      [],
    );
  });
});

function summarize(
  messages: readonly string[],
  add: (writer: SummaryWriter) => void = () => {},
): readonly Summary[] {
  const writer = new SummaryWriter();
  addBatch(writer, 5n, messages, 1);
  add(writer);
  return writer.finish();
}

function addBatch(writer: SummaryWriter, id: bigint, messages: readonly string[], recordCount: number): void {
  writer.startBatch(id, recordCount);
  for (const message of messages) {
    const bytes = Buffer.from(`<${message}>`);
    writer.terms.addText(bytes, 1, bytes.length - 1);
  }
}

function mayHave(summaries: readonly Summary[], add: (terms: SearchTerms) => void): boolean {
  return matching(summaries, add).length > 0;
}

/** The first ids of the segments, in ms. */
function matching(summaries: readonly Summary[], add: (terms: SearchTerms) => void): bigint[] {
  const terms = new SearchTerms();
  add(terms);
  return segmentsWith(summaries, terms).map(({ firstId }) => firstId / idsPerMs);
}

function spansWith(summaries: readonly Summary[], text: string): readonly Segment[] {
  const terms = new SearchTerms();
  terms.addText(text);
  return segmentsWith(summaries, terms);
}

/** By those slices alone that a search reads. */
function segmentsWith(summaries: readonly Summary[], terms: SearchTerms): readonly Segment[] {
  const wanted = new Set(terms.slices);
  return summaries.flatMap(({ slices }) => {
    const read = slices.filter(({ slice }) => wanted.has(slice));
    return terms.matchingSegments(new Map(read.map(({ slice, bytes }) => [slice, bytes])))!.matching;
  });
}

const alphabets = [
  "abc XYZ 019.:",
  "äöüßÉÑ",
  "İıiI",
  "\u212akK",
  "ΣσςΑΩ",
  "ЖЯжя",
  "𐐀𐐨",
  "日本語한국",
  "😀👩‍👧",
  "ǅǆ",
  "\u0301e",
];

function randomText(random: Random, lengthMax: number): string {
  const characters = random.list(3, () => random.pick(alphabets)).flatMap((alphabet) => Array.from(alphabet));
  if (characters.length === 0) characters.push(...Array.from("plain ASCII text"));
  return random.list(lengthMax, () => random.pick(characters)).join("");
}

function randomPart(random: Random, text: string): string {
  const start = random.below(text.length + 1);
  return text.slice(start, start + random.below(text.length - start + 1));
}
