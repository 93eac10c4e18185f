import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import {
  AckSchema,
  PushLogsRequestSchema,
  PushLogsResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { cCompilers, cProgram, fetchNanopb, makeC, whyNoC } from "#test/support/c-client.ts";

const noC = await whyNoC();
/** The first run fetches nanopb and compiles. */
const timeout = 600_000;
const kibibyte = 1_024;

describe("the library in C", { skip: noC ?? false, timeout }, () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "fleetlog-c-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test("compiles without a warning, with every compiler and without its optional part", async () => {
    for (const compiler of await cCompilers()) {
      for (const [name, flags] of [
        ["all", "-Os"],
        ["small", "-Os -DFLEETLOG_COMMITTED=0"],
        ["fast", "-O2 -DFLEETLOG_WRITE_UNIT=32"],
        ["gnu", "-Os -D_GNU_SOURCE"], // with all that the headers of the system define
      ] as const) {
        const build = join(folder, `${compiler}-${name}`);
        const targets = name === "all" ? ["libfleetlog.a", "example"] : ["libfleetlog.a"];
        await makeC(build, targets, { CC: compiler, CFLAGS: flags });
      }
    }
  });

  test("compiles in one folder, as its README says", async () => {
    const build = join(folder, "computer");
    await makeC(build, ["libfleetlog.a"]);
    const one = join(folder, "one");
    await mkdir(one);
    const script = `cp "$LIBRARY"/fleetlog*.[ch] "$NANOPB"/pb*.[ch] . && cp -r "$BUILD/generated/fleetlog" . &&
      mkdir app && cp "$LIBRARY/testing/limits.c" app && cc -Os -I. -o limits *.c app/limits.c && ./limits`;
    const env = { LIBRARY: join(projectFolder, "clients/c"), NANOPB: await fetchNanopb(), BUILD: build };
    const { stdout } = await execa("sh", ["-c", script], { cwd: one, env });
    assert.match(stdout, /^0$/m);
  });

  test("takes at most 16 KiB of code and 4 KiB of RAM beside its buffers, as its README says", async () => {
    const sizes: Record<string, number> = {};
    for (const [name, flags] of [
      ["all", ""],
      ["small", "-DFLEETLOG_COMMITTED=0"],
    ] as const) {
      const build = join(folder, `size-${name}`);
      const bare = "-fno-asynchronous-unwind-tables -fno-stack-protector -fno-pic";
      await makeC(build, ["libfleetlog.a"], { CC: "gcc", CFLAGS: `-Os ${bare} ${flags}` });
      sizes[name] = await codeBytes(build);
    }
    // The linker's own use of the stack, at the first call of each function of libc, is none of the library's.
    const model = await cProgram("model", ["clients/c/testing/model.c"], ["-Os", "-Wl,-z,now"]);
    const memory = JSON.parse((await execa(model, ["stack"])).stdout) as { stack: number; client: number };
    console.log(
      `code ${sizes["all"]} B, without FLEETLOG_COMMITTED ${sizes["small"]} B; client ${memory.client} B, stack ${memory.stack} B`,
    );
    assert.ok(sizes["all"]! <= 16 * kibibyte);
    assert.ok(memory.stack + memory.client <= 4 * kibibyte);
    const readme = await readFile(join(projectFolder, "clients/c/README.md"), "utf8");
    assert.ok(
      sizes["all"]! <= readNumber(readme, /^\| code.*?([\d,]+) B/m),
      "more code than the README says",
    );
    assert.ok(
      sizes["small"]! <= readNumber(readme, /^\| code without.*?([\d,]+) B/m),
      "more code than the README says",
    );
    assert.ok(memory.client <= readNumber(readme, /^\| `fleetlog_client`.*?([\d,]+) B/m));
    assert.ok(memory.stack <= readNumber(readme, /^\| stack.*?([\d,]+) B/m));
  });

  test("keeps, sends and declares every batch, and what the device says about itself, with power cuts at any write, a failing flash and a failing server", async () => {
    const model = await cProgram("model", ["clients/c/testing/model.c"]);
    await execa(model, ["1", "1500"], { timeout: 120_000 });
  });

  test("names the field of a configuration that is missing or beyond its limit, and the limit", async () => {
    const limits = await cProgram("limits", ["clients/c/testing/limits.c"]);
    const { stdout } = await execa(limits);
    assert.deepEqual(stdout.split("\n"), [
      "0",
      "0",
      "1 device_id: 1 to 128 of A-Z a-z 0-9 . _ : - -1",
      "1 device_id: 1 to 128 of A-Z a-z 0-9 . _ : - -1",
      "1 device_id: 1 to 128 of A-Z a-z 0-9 . _ : - -1",
      "1 device_id: 1 to 128 of A-Z a-z 0-9 . _ : - -1",
      "1 session_id: as device_id, at most FLEETLOG_SESSION_MAX -1",
      "1 host: 1 to 255 bytes -1",
      "1 firmware: over 256 bytes -1",
      "1 hardware: over 256 bytes -1",
      "1 site: over 256 bytes -1",
      "1 random: missing -1",
      "1 socket: missing -1",
      "1 batch: missing -1",
      "1 io: under 768 bytes -1",
      "1 memory, flash: missing -1",
      "1 sector_count: 3 (keep_until_committed: 4) to FLEETLOG_SECTORS_MAX -1",
      "1 sector_count: 3 (keep_until_committed: 4) to FLEETLOG_SECTORS_MAX -1",
      "1 sector_count: 3 (keep_until_committed: 4) to FLEETLOG_SECTORS_MAX -1",
      "1 sector_size, batch_size: no multiple of FLEETLOG_WRITE_UNIT -1",
      "1 sector_size: under batch_size + 256 bytes -1",
      "-2",
    ]);
  });

  test("reads responses of a hostile server within its bounds, and good ones rightly", async () => {
    const fuzz = await cProgram("fuzz-response", ["clients/c/testing/fuzz-response.c"]);
    const { stdout } = await execa(fuzz, ["1", "200000"], { timeout: 120_000 });
    const responses = stdout.split("\n").map((line) => JSON.parse(line) as Record<string, unknown> | null);
    assert.deepEqual(responses.slice(0, 4).map(pick("ack", "sequence", "accepted", "rejected", "kept")), [
      [true, 7, 3, 0, true],
      [true, 7, 3, 0, true],
      [true, 7, 3, 0, false],
      [true, 7, 3, 1, false],
    ]);
    const errors = responses
      .slice(4, 13)
      .map((response) => [
        ...pick("code", "delayMs")(response),
        Buffer.from(String(response?.["message"]), "hex").toString(),
      ]);
    assert.deepEqual(errors, [
      [8, 7_000, '{"code":"resource_exhausted"   }'],
      [14, 2_500, errors[1]?.[2]],
      [3, 0, String.raw`the \"code\":\"x\"`],
      [400, 0, "<html>"],
      [14, 0, ""],
      [204, 0, ""],
      [301, 0, ""],
      [14, 0, ""],
      [14, 86_400_000, ""],
    ]);
    assert.deepEqual(responses.slice(13, 18).map(pick("ack", "sequence", "kept")), [
      [false, 0, true], // a body that is compressed, although it was not asked for
      [true, 7, false], // bytes after it
      [true, 7, false], // interim responses have no body
      [false, 0, false], // cut at the end of the connection
      [true, 7, true], // a line that is too long
    ]);
    assert.ok(responses.length > 18 && responses.slice(18).every((response) => response === null));
  });

  test("has a contract that nanopb makes static structs of, for a device without the library", async () => {
    const structs = await cProgram("structs", ["clients/c/testing/structs.c"]);
    const rejections = Array.from({ length: 16 }, (_, index) => ({
      index,
      reason: `reason ${"x".repeat(249)}`,
    }));
    const ack = create(AckSchema, { sequence: 1n, accepted: 2, rejections });
    const input = toBinary(PushLogsResponseSchema, create(PushLogsResponseSchema, { ack }));
    const { stdout } = await execa(structs, { input });
    const [request = "", response, recordBytes] = stdout.split("\n");
    const { batch } = fromBinary(PushLogsRequestSchema, Buffer.from(request, "hex"));
    assert.deepEqual(
      [
        batch?.deviceId,
        batch?.sequence,
        batch?.device?.firmware,
        batch?.records.map(({ message }) => message),
      ],
      ["structs-1", 1n, "2.1.0", ["low", "lower"]],
    );
    assert.deepEqual(batch?.records[0]?.attributes[0]?.value, { case: "doubleValue", value: 2.5 });
    assert.equal(response, `2 16 ${rejections[0]?.reason}`);
    assert.ok(Number(recordBytes) <= 1.4 * kibibyte, `${recordBytes} B per record`);
  });
});

/** The code and constants that a program which calls everything has of the library and of nanopb. */
async function codeBytes(build: string): Promise<number> {
  const functions = ["init", "log", "flush", "poll", "pending", "time", "session", "sequence"];
  const wanted = functions.flatMap((name) => ["-u", `fleetlog_${name}`]);
  const linked = join(build, "linked.o");
  await execa("ld", ["-r", "--gc-sections", ...wanted, "-o", linked, join(build, "libfleetlog.a")]);
  const { stdout } = await execa("size", [linked]);
  const [text = 0, data = 0] = (stdout.split("\n")[1] ?? "").trim().split(/\s+/).map(Number);
  return text + data;
}

function readNumber(text: string, pattern: RegExp): number {
  const [, number] = pattern.exec(text) ?? [];
  assert.ok(number, `the README has no ${pattern}`);
  return Number(number.replaceAll(",", ""));
}

function pick(...names: readonly string[]) {
  return (values: Record<string, unknown> | null) => names.map((name) => values?.[name]);
}
