// The health of the program in this container: its /readyz, whose reasons become the health log's text. Exit code 0 or 1.

const listen = process.env.ADMIN_LISTEN || process.env.HTTP_LISTEN || "0.0.0.0:9101";
const port = listen.slice(listen.lastIndexOf(":") + 1);
try {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2_500) });
  process.stdout.write((await response.text()).slice(0, 2_000));
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  process.stdout.write(`/readyz does not answer: ${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
}
