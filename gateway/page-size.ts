import { InvalidFieldError } from "./invalid-field.ts";

export const pageSizeMax = 1000;
export const pageSizeDefault = 100;

/** 0 asks for the default; anything outside of 0 to {@link pageSizeMax} is refused, not silently changed. */
export function readPageSize(pageSize: number): number {
  if (pageSize < 0 || pageSize > pageSizeMax) {
    throw new InvalidFieldError("page_size", `${pageSize}, wanted 0 to ${pageSizeMax}`);
  }
  return pageSize === 0 ? pageSizeDefault : pageSize;
}
