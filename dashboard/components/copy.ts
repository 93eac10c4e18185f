import { signal } from "@preact/signals";

/** What the page says for a moment: "Copied". */
export const message = signal("");
let timer: ReturnType<typeof setTimeout> | undefined;

function say(text: string): void {
  message.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    message.value = "";
  }, 2500);
}

export async function copy(what: string, text: string): Promise<void> {
  say((await writeToClipboard(text)) ? `${what} copied` : "The browser blocks copying");
}

/** The clipboard of today wants https or localhost; the old way works everywhere else. */
async function writeToClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "off-screen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
