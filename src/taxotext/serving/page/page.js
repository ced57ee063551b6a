// The page: one text with its labels in the taxonomy, and files of many texts. Names of labels and texts are only ever
// put into the page as text, never as HTML.

const MOST = 300; // labels that are asked for
const FIRST = 12; // labels that are shown at first, beside the accepted ones
const TOGETHER = 50; // texts of a file in one request
const CHARACTERS = 500000; // of these
const ROWS = 100; // texts of a file that are shown
const MATCHES = 50; // labels that a search shows
const WORDS = 8;

const $ = (id) => document.getElementById(id);
const taxonomies = new Map(); // model -> {names, parents, order}
let model = "";
let text = "";
let labels = []; // of the text: {id, name, score, predicted}, the best first
let touched = new Map(); // label id -> accepted or not, by hand
let shown = FIRST;
let explained = null;
let asked = 0; // number of the latest question: answers to others come too late

// -- the server ------------------------------------------------------------------------------------------------------

async function request(address, body) {
  for (;;) {
    const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(address, options);
    const wait = Number(response.headers.get("Retry-After"));
    if ((response.status === 429 || response.status === 503) && wait) {
      say(response.status === 429 ? "The server is busy; waiting for it." : "The model is being loaded.");
      await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
      continue;
    }
    const found = await response.json();
    if (!response.ok) throw Object.assign(new Error(found.detail ?? response.statusText), { status: response.status });
    return found;
  }
}

function say(sentence, wrong = false) {
  $("status").textContent = sentence;
  $("status").classList.toggle("wrong", wrong);
}

async function start() {
  const { models } = await request("models");
  for (const one of models) {
    const option = document.createElement("option");
    option.value = option.textContent = one.name;
    $("model").append(option);
  }
  await choose(models[0].name);
}

async function choose(name) {
  model = name;
  say("Loading the labels.");
  if (!taxonomies.has(name)) {
    const found = await request(`models/${encodeURIComponent(name)}/taxonomy`);
    const names = new Map(), parents = new Map();
    for (const label of found.labels) {
      names.set(label.id, label.name ?? label.id);
      parents.set(label.id, label.parents);
    }
    taxonomies.set(name, { names, parents });
  }
  const { models } = await request("models");
  const one = models.find((found) => found.name === name);
  const levels = one.levels > 1 ? ` on ${one.levels} levels` : "";
  $("about").textContent = `${one.system}, ${one.labels.toLocaleString("en")} labels${levels}`;
  say("");
  if (text) await ask();
}

// -- one text --------------------------------------------------------------------------------------------------------

async function ask() {
  const number = ++asked;
  text = $("text").value;
  if (!text.trim()) {
    say("Type or paste a text first.", true);
    return;
  }
  say("Asking for labels.");
  const found = await request("predict", { model, texts: [text], top_k: MOST });
  if (number !== asked) return;
  labels = found.results[0].labels;
  touched = new Map();
  shown = FIRST;
  explained = null;
  $("why").hidden = true;
  $("why-help").hidden = false;
  $("result").hidden = false;
  draw();
  const count = accepted().length;
  say(`${count} ${count === 1 ? "label is" : "labels are"} predicted.`);
}

function passes(label) {
  if (touched.has(label.id)) return touched.get(label.id);
  return $("own").checked ? label.predicted : label.score > Number($("threshold").value);
}

function accepted() {
  return labels.filter(passes);
}

function draw() {
  $("threshold-value").textContent = Number($("threshold").value).toFixed(2);
  drawTree();
  drawAccepted();
}

function drawTree() {
  const { names, parents } = taxonomies.get(model);
  const visible = labels.filter((label, place) => place < shown || passes(label));
  const scores = new Map(labels.map((label) => [label.id, label.score]));
  const below = new Map([[null, []]]); // parent -> children, in the order in which they are met: the best first
  const placed = new Set();
  const best = (id) => [...parents.get(id)].sort((a, b) => (scores.get(b) ?? -1) - (scores.get(a) ?? -1))[0] ?? null;
  for (const { id } of visible) {
    for (let child = id; child !== null && !placed.has(child); ) {
      const parent = best(child);
      placed.add(child);
      if (!below.has(parent)) below.set(parent, []);
      below.get(parent).push(child);
      child = parent;
    }
  }
  const here = new Map(labels.map((label) => [label.id, label]));
  const list = (parent) => {
    const items = [];
    for (const id of below.get(parent) ?? []) {
      const item = document.createElement("li");
      item.append(here.has(id) ? labelRow(here.get(id), parents.get(id), parent, names) : above(names.get(id)));
      if (below.has(id)) {
        const inner = document.createElement("ul");
        inner.append(...list(id));
        item.append(inner);
      }
      items.push(item);
    }
    return items;
  };
  const focus = document.activeElement?.dataset?.key;
  $("tree").replaceChildren(...list(null));
  if (focus) [...$("tree").querySelectorAll("[data-key]")].find((one) => one.dataset.key === focus)?.focus();
  $("none").hidden = labels.length > 0;
  $("more").hidden = visible.length >= labels.length;
}

function above(name) {
  const found = document.createElement("div");
  found.className = "above";
  found.textContent = name;
  return found;
}

function labelRow(label, all, parent, names) {
  const row = document.createElement("div");
  row.className = passes(label) ? "label" : "label out";
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = passes(label);
  box.dataset.key = `box ${label.id}`;
  box.setAttribute("aria-label", `accept ${label.name}`);
  box.addEventListener("change", () => accept(label.id, box.checked));
  const name = document.createElement("button");
  name.type = "button";
  name.className = "name";
  name.textContent = label.name;
  name.title = label.name === label.id ? "Why?" : `${label.id}: why?`;
  name.dataset.key = `name ${label.id}`;
  name.setAttribute("aria-pressed", String(explained === label.id));
  name.addEventListener("click", () => guarded(() => explain(label)));
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true");
  const inner = document.createElement("i");
  inner.style.setProperty("--w", `${100 * label.score}%`);
  bar.append(inner);
  const score = document.createElement("span");
  score.className = "score";
  score.textContent = label.added ? "–" : label.score.toFixed(2);
  row.append(box, name, bar, score);
  const others = all.filter((one) => one !== parent).map((one) => names.get(one));
  if (others.length) {
    const also = document.createElement("span");
    also.className = "also";
    also.textContent = `also below ${others.join(", ")}`;
    row.append(also);
  }
  return row;
}

function accept(id, yes) {
  touched.set(id, yes);
  draw();
}

function drawAccepted() {
  const chosen = accepted();
  $("count").textContent = chosen.length;
  $("accepted").replaceChildren(
    ...chosen.map((label) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `${label.name} ×`;
      button.setAttribute("aria-label", `reject ${label.name}`);
      button.addEventListener("click", () => accept(label.id, false));
      item.append(button);
      return item;
    }),
  );
  for (const id of ["copy", "json", "csv"]) $(id).disabled = false;
}

// -- a label that the model does not suggest --------------------------------------------------------------------------

function search() {
  const wanted = $("search").value.trim().toLowerCase();
  const found = [];
  let count = 0;
  if (wanted) {
    for (const [id, name] of taxonomies.get(model).names) {
      if (!name.toLowerCase().includes(wanted) && !id.toLowerCase().includes(wanted)) continue;
      count += 1;
      if (found.length < MATCHES) found.push([id, name]);
    }
  }
  const more = count > found.length ? `, the first ${found.length} are shown` : "";
  $("found-count").textContent = wanted ? `${count.toLocaleString("en")} ${count === 1 ? "label" : "labels"}${more}` : "";
  $("found").replaceChildren(
    ...found.map(([id, name]) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name === id ? name : `${name} (${id})`;
      button.addEventListener("click", () => add(id, name));
      item.append(button);
      return item;
    }),
  );
}

function add(id, name) {
  if (!labels.some((label) => label.id === id)) labels.push({ id, name, score: 0, predicted: false, added: true });
  $("search").value = "";
  search();
  accept(id, true);
  $("search").focus();
  say(`${name} is accepted.`);
}

// -- why -------------------------------------------------------------------------------------------------------------

async function explain(label) {
  say(`Looking for the words that matter to ${label.name}.`);
  explained = label.id;
  const number = asked;
  drawTree();
  const found = await request("predict", { model, texts: [text], top_k: 1, explain: [label.id] });
  if (number !== asked || explained !== label.id) return;
  say("");
  const { explanation } = found.results[0];
  const words = explanation.words.map((word) => ({ ...word, value: word.importance[label.id] }));
  $("why-title").textContent = `Why ${label.name}: ${explanation.labels[0].score.toFixed(3)}`;
  $("words").replaceChildren(...highlighted(explanation.text, words));
  const strongest = words.filter((word) => word.value).sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, WORDS);
  $("strongest").textContent = strongest.length
    ? strongest.map((word) => `${word.text} ${signed(word.value)}`).join(" · ")
    : "No word changes it.";
  $("notes").textContent = explanation.notes.join(" ");
  $("why").hidden = false;
  $("why-help").hidden = true;
  $("why-title").focus({ preventScroll: matchMedia("(min-width: 52rem)").matches });
}

function highlighted(whole, words) {
  const letters = Array.from(whole); // places count whole characters, strings of this language count halves
  const most = Math.max(0.01, ...words.map((word) => Math.abs(word.value)));
  const pieces = [];
  let place = 0;
  for (const word of words) {
    const share = Math.abs(word.value) / most;
    if (share < 0.04) continue;
    pieces.push(letters.slice(place, word.start).join(""));
    const mark = document.createElement("b");
    mark.className = word.value < 0 ? "n" : "p";
    mark.style.setProperty("--w", `${Math.round(65 * share)}%`);
    mark.title = signed(word.value);
    mark.textContent = letters.slice(word.start, word.end).join("");
    pieces.push(mark);
    place = word.end;
  }
  pieces.push(letters.slice(place).join(""));
  return pieces;
}

function signed(value) {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3);
}

// -- files to take along ----------------------------------------------------------------------------------------------

function record() {
  const chosen = accepted();
  return {
    text,
    labels: chosen.map((label) => label.id),
    names: chosen.map((label) => label.name),
    scores: Object.fromEntries(chosen.filter((label) => !label.added).map((label) => [label.id, label.score])),
  };
}

function cell(value) {
  const written = String(value);
  return /[",\r\n;\t]/.test(written) ? `"${written.replaceAll('"', '""')}"` : written;
}

function csv(rows) {
  return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

function download(name, content, kind) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// -- many texts ------------------------------------------------------------------------------------------------------

let batch = []; // {text, labels: [...], note}
let stopped = false;

function readFile(name, content) {
  const suffix = name.toLowerCase().split(".").at(-1);
  if (suffix === "jsonl" || suffix === "ndjson") {
    return content.split("\n").flatMap((line, place) => {
      if (!line.trim()) return [];
      let found;
      try {
        found = JSON.parse(line).text;
      } catch {
        throw new Error(`Line ${place + 1} is not valid JSON.`);
      }
      if (typeof found !== "string") throw new Error(`Line ${place + 1} has no field "text".`);
      return [found];
    });
  }
  if (suffix === "csv" || suffix === "tsv") {
    const [head, ...rows] = table(content, suffix === "tsv" ? "\t" : separator(content));
    const column = head.indexOf("text");
    if (column < 0) throw new Error('The first line has no column "text".');
    return rows.map((row) => row[column] ?? "");
  }
  return content.split(/\r?\n/).filter((line) => line.trim());
}

function separator(content) {
  const first = content.split("\n", 1)[0];
  return [",", ";", "\t"].sort((a, b) => first.split(b).length - first.split(a).length)[0];
}

function table(content, between) {
  const rows = [[""]];
  let quoted = false;
  for (let place = 0; place < content.length; place++) {
    const letter = content[place];
    const row = rows.at(-1);
    if (quoted) {
      if (letter !== '"') row[row.length - 1] += letter;
      else if (content[place + 1] === '"') row[row.length - 1] += content[place++];
      else quoted = false;
    } else if (letter === '"' && row.at(-1) === "") quoted = true;
    else if (letter === between) row.push("");
    else if (letter === "\n") rows.push([""]);
    else if (letter !== "\r") row[row.length - 1] += letter;
  }
  return rows.filter((row) => row.length > 1 || row[0] !== "");
}

async function labelFile(file) {
  const content = (await file.text()).replace(/^\ufeff/, "");
  const texts = readFile(file.name, content);
  if (!texts.length) throw new Error("The file has no text.");
  batch = [];
  stopped = false;
  $("batch-result").hidden = true;
  $("running").hidden = $("cancel").hidden = false;
  $("progress").max = texts.length;
  try {
    while (batch.length < texts.length && !stopped) {
      const part = [];
      let size = 0;
      for (const one of texts.slice(batch.length, batch.length + TOGETHER)) {
        if (part.length && size + one.length > CHARACTERS) break;
        part.push(one);
        size += one.length;
      }
      batch.push(...(await labelled(part)));
      $("progress").value = batch.length;
      $("progress-label").textContent = `${batch.length.toLocaleString("en")} of ${texts.length.toLocaleString("en")} texts`;
    }
  } finally {
    $("running").hidden = $("cancel").hidden = true;
    if (batch.length) drawRows(texts.length);
  }
  const failed = batch.filter((one) => one.note).length;
  const problem = failed ? ` ${failed} without labels have a note.` : "";
  say(`${batch.length.toLocaleString("en")} of ${texts.length.toLocaleString("en")} texts are labelled.${problem}`);
}

async function labelled(texts) {
  try {
    const { results } = await request("predict", { model, texts });
    return results.map((result, place) => ({ text: texts[place], labels: result.labels, note: result.note ?? "" }));
  } catch (error) {
    if (error.status !== 413 && error.status !== 422) throw error;
    if (texts.length === 1) return [{ text: texts[0], labels: [], note: error.message }];
    const half = Math.ceil(texts.length / 2); // one of them is refused: find it
    return [...(await labelled(texts.slice(0, half))), ...(await labelled(texts.slice(half)))];
  }
}

function drawRows(total) {
  $("rows").replaceChildren(
    ...batch.slice(0, ROWS).map((one) => {
      const row = document.createElement("tr");
      const cells = [one.text.length > 300 ? `${one.text.slice(0, 300)} …` : one.text];
      cells.push(one.note || one.labels.map((label) => `${label.name} ${label.score.toFixed(2)}`).join(", ") || "–");
      for (const content of cells) {
        const found = document.createElement("td");
        found.textContent = content;
        row.append(found);
      }
      return row;
    }),
  );
  const rest = batch.length > ROWS ? `The first ${ROWS} of ${batch.length.toLocaleString("en")} texts; the files have all. ` : "";
  $("rows-note").textContent = rest + (batch.length < total ? `Stopped after ${batch.length} of ${total} texts.` : "");
  $("batch-result").hidden = false;
}

function batchCsv() {
  const ids = new Set(batch.flatMap((one) => one.labels.map((label) => label.id)));
  const between = [";", "|", "\t", "¦", "\u241f"].find((one) => ![...ids].some((id) => id.includes(one))) ?? ";";
  const rows = batch.map((one) => [one.text, one.labels.map((label) => label.id).join(between), one.note]);
  return csv([["text", "labels", "note"], ...rows]);
}

function batchLines() {
  return batch
    .map(({ text, labels, note }) => {
      const scores = Object.fromEntries(labels.map((label) => [label.id, label.score]));
      return JSON.stringify({ text, labels: labels.map((label) => label.id), scores, ...(note && { note }) }) + "\n";
    })
    .join("");
}

// -- what people do ----------------------------------------------------------------------------------------------------

async function guarded(work) {
  try {
    await work();
  } catch (error) {
    say(error instanceof TypeError ? "The server cannot be reached." : error.message, true);
  }
}

function take(file) {
  return guarded(async () => {
    $("text").value = await file.text();
    await ask();
  });
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(ask);
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) guarded(ask);
});
$("text").addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  $("text").classList.add("over");
});
$("text").addEventListener("dragleave", () => $("text").classList.remove("over"));
$("text").addEventListener("drop", (event) => {
  $("text").classList.remove("over");
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  take(event.dataTransfer.files[0]);
});
$("file").addEventListener("change", () => $("file").files.length && take($("file").files[0]));
$("model").addEventListener("change", () => guarded(() => choose($("model").value)));
$("own").addEventListener("change", draw);
$("threshold").addEventListener("input", () => {
  $("own").checked = false;
  draw();
});
$("more").addEventListener("click", () => {
  shown = Math.max(2 * shown, FIRST);
  drawTree();
});
$("search").addEventListener("input", search);
$("copy").addEventListener("click", () =>
  guarded(async () => {
    if (!navigator.clipboard) throw new Error("Browsers copy on https and on localhost only; download the file instead.");
    await navigator.clipboard.writeText(JSON.stringify(record(), null, 2));
    say("Copied.");
  }),
);
$("json").addEventListener("click", () => download("labels.json", JSON.stringify(record(), null, 2), "application/json"));
$("csv").addEventListener("click", () => {
  const rows = accepted().map((label) => [label.id, label.name, label.added ? "" : label.score]);
  download("labels.csv", csv([["id", "name", "score"], ...rows]), "text/csv");
});
$("batch").addEventListener("change", () => {
  const [file] = $("batch").files;
  if (file) guarded(() => labelFile(file)).finally(() => ($("batch").value = ""));
});
$("cancel").addEventListener("click", () => (stopped = true));
$("batch-csv").addEventListener("click", () => download("labels.csv", batchCsv(), "text/csv"));
$("batch-jsonl").addEventListener("click", () => download("labels.jsonl", batchLines(), "application/x-ndjson"));

guarded(start);
