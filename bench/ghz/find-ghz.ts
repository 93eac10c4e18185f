import { spawnSync } from "node:child_process";
import { homedir } from "node:os";
import { join } from "node:path";

export const ghzAdvice = `ghz, the load generator, is not on the PATH. With Go ≥ 1.21 on this machine:

    go install github.com/bojand/ghz/cmd/ghz@v0.121.0

puts it into ~/go/bin, where it is found too. Without Go: https://github.com/bojand/ghz/releases
(npm's package "ghz" is something else.)`;

/** The command that runs ghz: from the PATH, else where `go install` puts it; undefined when it is nowhere. */
export function findGhz(): string | undefined {
  const places = ["ghz", ...(process.env.GOPATH ? [join(process.env.GOPATH, "bin/ghz")] : [])];
  return [...places, join(homedir(), "go/bin/ghz")].find(
    (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0,
  );
}
