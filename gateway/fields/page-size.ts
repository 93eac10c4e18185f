import { InvalidFieldError } from "./invalid-field.ts";

/** 0 means 100; a value outside of 0 to 1,000 is refused, not clamped. */
export function readPageSize(pageSize: number): number {
  return readCount("page_size", pageSize, { ifZero: 100, max: 1000 });
}

/** The limit of a list; 0 means `ifZero`. */
export function readCount(
  field: string,
  count: number,
  { ifZero, max }: { ifZero: number; max: number },
): number {
  if (count < 0 || count > max) throw new InvalidFieldError(field, `${count}, expected 0 to ${max}`);
  return count === 0 ? ifZero : count;
}
