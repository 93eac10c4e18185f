import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";

// A program that writes numbered lines, sometimes partial ones, and rotates its file as logrotate does,
// in steps between which any process may be killed. Arguments: path, seed. On SIGTERM it prints the
// number of lines and exits.

const [, , path = "", seed = "1"] = process.argv;
const random = mulberry32(Number(seed));
const until = (max: number) => Math.floor(random() * max);

/** Without O_APPEND a truncated file gets a hole of NULs. */
const flag = random() < 0.5 ? "a+" : "r+";
const byDate = random() < 0.5;
const oldMax = 40;

const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());

let position = 0;
let fd = open();
let count = 0;
let torn = "";
let rotations = 0;

function open(): number {
  if (!existsSync(path)) writeFileSync(path, "");
  position = 0;
  return openSync(path, flag);
}

function write(text: string): void {
  const bytes = Buffer.from(text);
  writeSync(fd, bytes, 0, bytes.byteLength, flag === "a+" ? null : position);
  position += bytes.byteLength;
}

function turn(): void {
  const lines = Array.from({ length: 1 + until(20) }, () => `line ${count++} ${"x".repeat(until(80))}\n`);
  const text = torn + lines.join("");
  const cut = random() < 0.3 ? text.length - until(10) : text.length;
  write(text.slice(0, cut));
  torn = text.slice(cut);
}

/** Some lines later. */
async function later(): Promise<void> {
  for (let turns = until(4); turns > 0; turns--) {
    turn();
    await sleep(10);
  }
}

function oldName(number: number): string {
  return byDate ? `${path}-${20261127 + rotations - number}` : `${path}.${number}`;
}

/** `.1` is free afterwards. */
function shift(): void {
  if (byDate) return;
  for (let number = oldMax; number > 0; number--) {
    for (const packed of ["", ".gz"]) {
      const name = `${path}.${number}${packed}`;
      if (existsSync(name)) renameSync(name, `${path}.${number + 1}${packed}`);
    }
  }
}

async function rename(): Promise<void> {
  renameSync(path, oldName(1));
  await later(); // until it reopens the file
  write(torn);
  torn = "";
  closeSync(fd);
  fd = open();
}

async function copyAndTruncate(): Promise<void> {
  const half = Buffer.alloc(Math.ceil(fstatSync(fd).size / 2));
  readSync(fd, half, 0, half.byteLength, 0);
  writeFileSync(oldName(1), half);
  await later();
  write(torn); // a line that is cut in two by the truncation would be two
  torn = "";
  copyFileSync(path, oldName(1));
  ftruncateSync(fd);
}

async function compress(name: string): Promise<void> {
  if (!existsSync(name)) return;
  const { atime, mtime } = statSync(name);
  const packed = gzipSync(readFileSync(name));
  writeFileSync(`${name}.gz`, packed.subarray(0, packed.byteLength / 2));
  await later();
  writeFileSync(`${name}.gz`, packed);
  utimesSync(`${name}.gz`, atime, mtime);
  await later();
  rmSync(name);
}

while (!stop.signal.aborted) {
  for (let turns = 10 + until(40); turns > 0 && !stop.signal.aborted; turns--) {
    turn();
    await sleep(10);
  }
  if (rotations === oldMax) continue;
  rotations++;
  shift();
  if (random() < 0.5) await rename();
  else await copyAndTruncate();
  const delay = until(4);
  if (delay > 0) await compress(oldName(delay));
}
write(torn);
process.stdout.write(`${count}`);

/** The same numbers for the same seed. */
function mulberry32(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}
