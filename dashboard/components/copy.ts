import { signal } from "@preact/signals";

/** A message that is shown for 2.5 s: "Copied". */
export const toast = signal("");
let timer: ReturnType<typeof setTimeout> | undefined;

function showToast(text: string): void {
  toast.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    toast.value = "";
  }, 2500);
}

export async function copy(what: string, text: string): Promise<void> {
  showToast((await writeToClipboard(text)) ? `${what} copied` : "The browser blocks copying");
}

/** The clipboard API needs https or localhost; execCommand works everywhere else. */
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
