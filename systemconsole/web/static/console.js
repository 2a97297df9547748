// What the pages do beyond plain HTML: copy buttons, dialogs, uploads in
// chunks, logs that follow their end. Every page works without this file.
"use strict";

const show = (text, state) => {
  const toast = document.createElement("div");
  toast.className = `says ${state}`;
  toast.textContent = text;
  document.querySelector(".toasts").append(toast);
  return toast;
};
const say = (text, state = "good") => {
  const toast = show(text, state);
  setTimeout(() => toast.remove(), 6000);
};

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = document.getElementById(copy.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      say("Copied");
    } catch {
      source.select?.();
      say("Select the text and copy it with Ctrl+C", "warn");
    }
  }
  const dialog = event.target.closest("[data-close]")?.closest("dialog");
  if (dialog) { // on a page of its own the link leads back
    event.preventDefault();
    dialog.close();
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  release(); // it ends what the browser waits for
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// What was done is said once: the page that is loaded again, or kept as a
// bookmark, is about another time.
const address = new URL(location);
for (const word of ["notice", "unsent"]) address.searchParams.delete(word);
if (address.href !== location.href) history.replaceState(history.state, "", address);

// A link with hx-target="#dialog" shows the panel of its page as a dialog. Where
// that is an error, the link leads to the page, which says what to do.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "dialog" && !event.detail.target.open) event.detail.target.showModal();
});
document.addEventListener("htmx:afterRequest", (event) => {
  const { elt, xhr, successful } = event.detail;
  if (successful || !elt.matches("a[href]") || xhr.getResponseHeader("HX-Redirect")) return;
  if (xhr.status) location.assign(elt.href);
  else say("The console does not answer. Try again in a moment.", "bad");
});

// A form is sent once, however often its button is pressed, and shows that it is
// under way when that takes longer than a moment.
let sent = new WeakSet();
const release = () => {
  sent = new WeakSet();
  for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
};
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-upload]")) return;
  if (sent.has(event.target)) {
    event.preventDefault();
    return;
  }
  sent.add(event.target);
  setTimeout(() => {
    if (sent.has(event.target)) event.submitter?.setAttribute("aria-busy", "true");
  }, 300);
});
window.addEventListener("pageshow", release);

// Parts that load themselves anew stand still while the console does not answer,
// as it does when its own upgrade replaces it: the page says so.
const live = (element) => element.matches("[hx-trigger^=every]");
document.addEventListener("htmx:configRequest", (event) => {
  if (!live(event.detail.elt)) return;
  event.detail.timeout = 10_000;
  event.detail.headers["Sealift-Live"] = "true"; // nobody has to be there: it keeps no session open
});
let answered = Date.now();
let silence;
document.addEventListener("htmx:afterRequest", (event) => {
  const { requestConfig, successful, xhr } = event.detail;
  if (!live(requestConfig.elt)) return;
  if (successful) {
    answered = Date.now();
    if (silence) say("The console answers again");
    silence?.remove();
    silence = undefined;
  } else if (!silence && Date.now() - answered > 4000) {
    const since = new Date(answered).toLocaleTimeString([], { hour12: false });
    const what = xhr.status ? `The console cannot show this since ${since}: load the page to see why.` : `The console has not answered since ${since}.`;
    silence = show(`${what} What you see is of then; this page goes on by itself when it answers.`, "warn");
  }
});

// A part that loads itself anew is another element each time. What the reader has
// done in the one before goes over to it: where the focus is, how far texts are
// scrolled, what is unfolded.
const follow = () => {
  for (const log of document.querySelectorAll(".log[data-follow]")) log.scrollTop = log.scrollHeight;
};
document.addEventListener("DOMContentLoaded", follow);
const stops = (part) => [...part.querySelectorAll("a[href], button, summary, [tabindex]")];
const kind = (stop) => stop.tagName + (stop.getAttribute("href") ?? stop.getAttribute("aria-label") ?? "");
const focused = (part) => {
  const stop = document.activeElement;
  if (!part.contains(stop)) return () => {};
  const like = (other) => kind(other) === kind(stop);
  const place = stops(part).filter(like).indexOf(stop);
  return (now) => stops(now).filter(like)[place]?.focus({ preventScroll: true });
};
const scrolled = (part) => {
  const states = [...part.querySelectorAll(".log, .table")].map((e) => {
    const atEnd = e.matches("[data-follow]") && e.scrollTop + e.clientHeight >= e.scrollHeight - 8;
    return { left: e.scrollLeft, top: atEnd ? Infinity : e.scrollTop };
  });
  return (now) => now.querySelectorAll(".log, .table").forEach((e, i) => {
    if (states[i]) e.scrollTo(states[i].left, Math.min(states[i].top, e.scrollHeight));
  });
};
const unfolded = (part) => {
  const states = [...part.querySelectorAll("details")].map((e) => e.open);
  return (now) => now.querySelectorAll("details").forEach((e, i) => (e.open = states[i] ?? e.open));
};
document.addEventListener("htmx:beforeSwap", (event) => {
  const part = event.detail.target;
  if (!live(part) || !event.detail.shouldSwap) return;
  const keep = [unfolded, scrolled, focused].map((state) => state(part));
  document.addEventListener("htmx:afterSwap", () => {
    const now = document.getElementById(part.id);
    if (now?.getAttribute("hx-trigger") === part.getAttribute("hx-trigger")) keep.forEach((restore) => restore(now));
    else location.replace(part.getAttribute("hx-get")); // it has ended: the rest of the page is of before
  }, { once: true });
});

// Uploads speak tus 1.0: create, ask how far it came, send the next chunk. What
// fails is tried again so often in a row.
const tries = 8;
const chunkSize = (form) => Number(form.dataset.chunk ?? 16 * 1024 * 1024);
const token = document.querySelector("meta[name=form-token]")?.content ?? "";
const ask = (url, { headers, ...request }) => fetch(url, {
  ...request,
  redirect: "manual", // to a login, whose page would look like an answer
  headers: { "Tus-Resumable": "1.0.0", "X-Form-Token": token, ...headers },
}).catch(() => {
  throw new Error("the console does not answer");
});
const reason = async (answer) => {
  if (answer.type === "opaqueredirect" || answer.status === 403) return "your session has ended, load this page again to log in";
  const plain = (answer.headers.get("Content-Type") ?? "").startsWith("text/plain");
  return (plain && (await answer.text())) || `the console answered ${answer.status}`;
};
const encode = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

async function begin(form, file) {
  const known = `upload:${file.name}:${file.size}:${file.lastModified}`;
  const before = localStorage.getItem(known);
  if (before) {
    const answer = await ask(before, { method: "HEAD" });
    if (answer.ok) return { url: before, offset: Number(answer.headers.get("Upload-Offset")), known };
  }
  const answer = await ask(form.dataset.upload, {
    method: "POST",
    headers: { "Upload-Length": String(file.size), "Upload-Metadata": `filename ${encode(file.name)}` },
  });
  if (!answer.ok) throw new Error(await reason(answer));
  const url = answer.headers.get("Location");
  localStorage.setItem(known, url);
  return { url, offset: 0, known };
}

async function send(form, file, shown) {
  const upload = await begin(form, file);
  let failures = 0;
  shown(upload.offset);
  while (upload.offset < file.size) {
    try {
      const answer = await ask(upload.url, {
        method: "PATCH",
        headers: { "Upload-Offset": String(upload.offset), "Content-Type": "application/offset+octet-stream" },
        body: file.slice(upload.offset, upload.offset + chunkSize(form)),
      });
      const refused = answer.status >= 400 && answer.status < 500 && answer.status !== 409 && answer.status !== 423;
      if (refused || answer.type === "opaqueredirect") failures = tries;
      if (answer.status === 404) localStorage.removeItem(upload.known);
      if (answer.status === 404) throw new Error("what was sent so far is gone, with the replica of the console that had it: send the file again");
      if (!answer.ok) throw new Error(await reason(answer));
      upload.offset = Number(answer.headers.get("Upload-Offset"));
      failures = 0;
    } catch (error) {
      if (++failures > tries) throw error;
      shown(upload.offset, error);
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** failures));
      const answer = await ask(upload.url, { method: "HEAD" }).catch(() => null);
      if (answer?.ok) upload.offset = Number(answer.headers.get("Upload-Offset"));
    }
    shown(upload.offset);
  }
  localStorage.removeItem(upload.known);
  return upload.url;
}

const amount = (bytes) => {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), 4);
  return `${(bytes / 1024 ** power).toFixed(power && 1)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
};
const duration = (seconds) => {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.ceil(seconds)} s`;
};

// An upload's progress: the bar at once, the words once a second, for they are
// read out. The rate is that of what this page has sent.
const progressOf = (file, bar, text) => {
  let first;
  let begun;
  let said = -Infinity;
  return (sent, failure) => {
    const now = performance.now();
    bar.value = sent;
    first ??= sent;
    begun ??= now;
    if (failure) text.textContent = `Interrupted at ${amount(sent)}: ${failure.message}. Trying again…`;
    if (failure || now - said < 1000) return;
    const rate = (1000 * (sent - first)) / (now - begun);
    const pace = rate > 0 ? `, ${amount(rate)}/s, ${duration((file.size - sent) / rate)} left` : "";
    text.textContent = `${amount(sent)} of ${amount(file.size)}${pace}`;
    if (sent > first) said = now;
  };
};

// Who leaves the page ends its upload: the browser asks whether that is meant.
const stay = (event) => {
  event.preventDefault();
  setTimeout(release); // who stays has sent nothing
};

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-upload]");
  if (!form) return;
  const file = form.querySelector("input[type=file]").files[0];
  if (!file) return;
  event.preventDefault();
  const bar = form.querySelector("progress");
  const text = form.querySelector("[data-status]");
  const button = form.querySelector("button[type=submit]");
  bar.max = file.size;
  bar.parentElement.hidden = false;
  button.disabled = true;
  window.addEventListener("beforeunload", stay);
  try {
    const url = await send(form, file, progressOf(file, bar, text)).finally(() => window.removeEventListener("beforeunload", stay));
    location.assign(form.dataset.done + encodeURIComponent(url.split("/").pop().split("+")[0]));
  } catch (error) {
    text.textContent = `Stopped: ${error.message}. Choose the same file again to go on from here.`;
    button.disabled = false;
  }
});
