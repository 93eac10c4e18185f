import type { DescMessage } from "@bufbuild/protobuf";
import { InvalidFieldError } from "../fields/invalid-field.ts";

/*
 * What is looked at before a request is decoded: decoding makes an object of each value, twice, and goes into itself where
 * values are nested. No honest request comes near these limits; a pass over 64 KiB takes 0.1 ms.
 */

/** The fault of JSON that has too many values or nests them too deep. What is no JSON is left to its parser. */
export function jsonShapeFault(json: Uint8Array): InvalidFieldError | undefined {
  let values = 1;
  let depth = 0;
  let isText = false;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (isText) {
      if (byte === backslash) at += 1;
      else if (byte === quote) isText = false;
    } else if (byte === quote) {
      isText = true;
    } else if (byte === comma) {
      values += 1;
    } else if (byte === openBracket || byte === openBrace) {
      values += 1;
      depth += 1;
      if (depth > depthMax) {
        return new InvalidFieldError(
          "request",
          `JSON nested too deeply, expected at most ${depthMax} levels`,
        );
      }
    } else if (byte === closeBracket || byte === closeBrace) {
      depth -= 1;
    }
    if (values > valuesMax) return tooMany();
  }
  return undefined;
}

/**
 * The fault of protobuf that has too many fields, also in the messages it holds, or groups, which can be nested and of
 * which no request has any. What is no protobuf is left to its parser.
 */
export function binaryShapeFault(
  input: DescMessage,
  message: Uint8Array,
  budget = { values: valuesMax },
): InvalidFieldError | undefined {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; at < message.length; shift *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * shift;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < message.length) {
    if (budget.values === 0) return tooMany();
    budget.values -= 1;
    const tag = varint();
    const wireType = tag & 7;
    if (wireType === 0) varint();
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else if (wireType === 2) {
      const length = varint();
      const held = input.fields.find(({ number }) => number === Math.floor(tag / 8))?.message;
      const fault = held && binaryShapeFault(held, message.subarray(at, at + length), budget);
      if (fault !== undefined) return fault;
      at += length;
    } else return new InvalidFieldError("request", `a field of wire type ${wireType}, expected 0, 1, 2 or 5`);
  }
  return undefined;
}

function tooMany(): InvalidFieldError {
  return new InvalidFieldError("request", `more than ${valuesMax} values, expected at most ${valuesMax}`);
}

/** The largest request, with 200 devices and all conditions, has some 300. */
const valuesMax = 1000;
const depthMax = 16;

const [quote, backslash, comma, openBracket, closeBracket, openBrace, closeBrace] = Buffer.from('"\\,[]{}');
