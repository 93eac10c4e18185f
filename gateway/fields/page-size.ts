import { InvalidFieldError } from "./invalid-field.ts";

/** 0 means 100; more than 1,000 counts as 1,000, as AIP-158 has it. */
export function readPageSize(pageSize: number): number {
  return readCount("page_size", pageSize, { ifZero: 100, max: 1000 });
}

/** The limit of a list; 0 means `ifZero`, and more than `max` counts as `max`. */
export function readCount(
  field: string,
  count: number,
  { ifZero, max }: { ifZero: number; max: number },
): number {
  if (count < 0) throw new InvalidFieldError(field, `${count}, expected 0 to ${max}`);
  return count === 0 ? ifZero : Math.min(count, max);
}
