import { z } from "zod";

/** Origins of pages that browsers let call; "*" stands for all. */
export function allowedOrigins() {
  const form =
    'expected comma-separated origins, such as "https://logs.example.com,http://localhost:5173", or "*"';
  return z
    .string(form)
    .transform((value) => value.split(",").map((one) => one.trim()))
    .refine(
      (all) => all.every((one) => one === "*" || (URL.canParse(one) && new URL(one).origin === one)),
      form,
    );
}
