import { shown } from "/model.js";

const response = await fetch("/view");
document.getElementById("view").textContent = shown(await response.json());
