import { render } from "preact";
import { App } from "./app.tsx";
import { followLinks } from "./state/location.ts";

const root = document.getElementById("page");
if (root === null) throw new Error("index.html has no element #page");
document.addEventListener("click", followLinks);
render(<App />, root);
