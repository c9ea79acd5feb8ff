// The demo page: a number, a code, and what may stand in the way. A starting point for a page of
// your own: it talks to the API alone, and to page.json, which says what is configured. All
// addresses are relative: a proxy may have it below a path.
import { solve } from "./challenge.js";
import { LANGUAGES, spoken, texts } from "./texts.js";
import { countries, format, name, plain } from "./countries.js";

const $ = id => document.getElementById(id);
const KEY = "sms-verify";
const store = {
  get: () => JSON.parse(sessionStorage.getItem(KEY) ?? "{}"),
  set: change => sessionStorage.setItem(KEY, JSON.stringify({ ...store.get(), ...change })),
  clear: () => sessionStorage.removeItem(KEY),
};

let language = spoken(localStorage.getItem(KEY) ?? navigator.language);
let settings = { region: "CN", countries: null, digits: 6 };
let uuid, checking, timers = {};
const say = (key, values = {}) => Object.entries(values).reduce(
  (text, [name, value]) => text.replaceAll(`{${name}}`, value), texts[language][key] ?? "");

// The API.

const call = async (method, path, body) => {
  const headers = { "accept-language": language };
  if (body) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  return { ok: answer.ok, status: answer.status, ...(await answer.json()) };
};

/** The text for a problem, in the reader's language: by its type, or else the API's own. */
const complaint = problem => {
  const kind = problem.type?.split(/[:#]/).pop();
  const policy = problem.violated_policies?.[0] ?? problem.challenge?.kind ?? problem.missing;
  const seconds = problem.retry_after, minutes = Math.ceil(seconds / 60);
  const wait = seconds > 120 ? say("minutes", { minutes }) : say("seconds", { seconds });
  const values = { seconds, minutes, wait, left: problem.attempts_left, detail: problem.detail };
  return say(`${kind}.${policy}`, values) || say(kind, values) ||
    `${problem.errmsg}: ${problem.detail}`;
};

/** Shows for how long the number is locked, if it is: then no code is looked at. */
const showLock = () => {
  clearTimeout(timers.lock);
  const { locked = 0 } = store.get();
  const left = locked - Date.now();
  const until = new Date(locked).toLocaleTimeString(language, { timeStyle: "short" });
  $("code").disabled = left > 0;
  $("locked").textContent = left > 0 ? say("locked", { until }) : "";
  if (left > 0) timers.lock = setTimeout(showLock, left);
};

const lock = seconds => {
  store.set({ locked: seconds ? Date.now() + seconds * 1000 : undefined });
  showLock();
};

const isLocked = () => $("code").disabled;

/**
 * Tells an answer to too many wrong codes: to the last of them, or to one more. The policy that
 * takes longest comes first.
 */
const locks = ({ attempts_left, violated_policies }) =>
  attempts_left === 0 || violated_policies?.[0] === "attempts";

/** Does something, and says so if the server cannot be reached. */
const attempt = async (errors, action) => {
  $(errors).textContent = "";
  try {
    await action();
  } catch (error) {
    const reached = navigator.onLine && !(error instanceof TypeError);
    $(errors).textContent = say(reached ? "broken" : "offline");
  }
};

// Asking for a code.

const request = async body => {
  const answer = await call("POST", "v1/verifications", body);
  if (answer.challenge?.kind === "pow" && !body.proof) {
    $("ask-error").textContent = say("working");
    return request({ ...body, proof: await solve(answer.challenge) });
  }
  return answer;
};

const showPicture = id => {
  uuid = id;
  $("picture").hidden = !id;
  $("image_code").value = "";
  if (id) {
    $("image").src = `v1/pictures/${id}`;
    $("image_code").focus();
  }
};

$("another").onclick = () => showPicture(crypto.randomUUID());

$("ask").onsubmit = event => {
  event.preventDefault();
  attempt("ask-error", async () => {
    $("send").disabled = true;
    const read = uuid && { uuid, image_code: $("image_code").value };
    const number = $("to").value, region = $("country").value;
    try {
      const answer =
        await request({ to: number.trim() || undefined, region: region || undefined, ...read });
      showPicture(answer.challenge?.kind === "picture" ? answer.challenge.uuid : undefined);
      if (answer.ok || locks(answer)) lock(answer.locked_for ?? answer.retry_after);
      $("ask-error").textContent = answer.ok || locks(answer) ? "" : complaint(answer);
      $("to").setAttribute("aria-invalid", answer.field === "to");
      const wait = answer.ok ? answer.resend_in : answer.retry_after;
      // A person who has locked one number may have another.
      if (wait && !locks(answer)) store.set({ again: Date.now() + wait * 1000 });
      if (answer.ok) {
        $("prove-error").textContent = "";
        $("code").removeAttribute("aria-invalid");
        store.set({ id: answer.id, to: answer.to, number, region });
        $("code").value = "";
        stage();
        watch();
      }
    } finally {
      countdown();
    }
  });
};

const countdown = () => {
  clearTimeout(timers.countdown);
  const left = Math.ceil(((store.get().again ?? 0) - Date.now()) / 1000);
  $("send").disabled = left > 0;
  const ready = store.get().id ? "resend" : "send";
  $("send").textContent = left > 0 ? say("wait", { seconds: left }) : say(ready);
  if (left > 0) timers.countdown = setTimeout(countdown, 250);
};

// Typing it back.

const draw = () => {
  const typed = plain($("code").value).replace(/\D/g, "").slice(0, settings.digits);
  $("code").value = typed;
  $("digits").replaceChildren(...Array.from({ length: settings.digits }, (_, index) => {
    const box = document.createElement("span");
    box.textContent = typed[index] ?? "";
    box.className = index === Math.min(typed.length, settings.digits - 1) ? "next" : "";
    return box;
  }));
  return typed.length === settings.digits;
};

$("code").oninput = () => {
  $("code").removeAttribute("aria-invalid");
  if (draw()) $("prove").requestSubmit();
};

$("prove").onsubmit = event => {
  event.preventDefault();
  // A key more, or a browser that fills the code in twice, is no second attempt.
  if (checking) return;
  checking = true;
  attempt("prove-error", async () => {
    const code = $("code").value;
    const answer = await call("POST", `v1/verifications/${store.get().id}/check`, { code });
    if (answer.ok) return finish();
    $("code").value = "";
    draw();
    if (locks(answer)) return lock(answer.retry_after);
    $("prove-error").textContent = complaint(answer);
    $("code").setAttribute("aria-invalid", "true");
    $("code").focus();
    if (answer.status === 404) forget();
  }).finally(() => { checking = false; });
};

/** Shows how far the SMS has come, until it is there. */
const watch = async () => {
  clearTimeout(timers.watch);
  const { id } = store.get();
  if (!id) return;
  const seen = await call("GET", `v1/verifications/${id}`).catch(() => undefined);
  if (id !== store.get().id) return;
  if (seen?.status === "approved") return finish();
  if (seen?.status === 404) {
    $("prove-error").textContent = say("gone");
    return forget();
  }
  // A problem tells nothing of it.
  if (seen?.ok) {
    if (isLocked() !== Boolean(seen.locked_for)) lock(seen.locked_for);
    $("delivery").textContent = say(`delivery.${seen.delivery}`);
  }
  timers.watch = setTimeout(watch, seen?.delivery === "delivered" ? 5000 : 1000);
};

/** The code out of the SMS, where the browser can read it there (WebOTP). */
const fill = async () => {
  if (!("OTPCredential" in window)) return;
  timers.otp?.abort();
  timers.otp = new AbortController();
  const asked = { otp: { transport: ["sms"] }, signal: timers.otp.signal };
  const otp = await navigator.credentials.get(asked).catch(() => undefined);
  if (otp?.code) {
    $("code").value = otp.code;
    $("code").oninput();
  }
};

const finish = () => {
  clearTimeout(timers.watch);
  const { id, to } = store.get();
  // Seen by the watch already.
  if (!id) return;
  store.clear();
  for (const id of ["ask", "prove"]) $(id).hidden = true;
  $("verified").textContent = to;
  $("done").hidden = false;
  $("done").focus();
};

/** The verification is over: another one begins with the same number. */
const forget = () => {
  clearTimeout(timers.watch);
  $("delivery").textContent = "";
  store.set({ id: undefined });
  countdown();
};

$("anew").onclick = () => location.reload();

// Display.

const stage = () => {
  const { id, to } = store.get();
  $("prove").hidden = !id;
  $("code-label").textContent = say("code", { to, digits: settings.digits });
  draw();
  if (id) {
    $("code").focus();
    fill();
  }
};

const write = () => {
  document.documentElement.lang = language;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = say(element.dataset.text);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.ariaLabel = say(element.dataset.label);
  }
  $("image").alt = say("picture");
  $("languages").replaceChildren(...LANGUAGES.filter(tag => tag !== language).map(tag => {
    const look = { textContent: texts[tag].self, lang: tag, type: "button", className: "quiet" };
    const button = Object.assign(document.createElement("button"), look);
    button.onclick = () => speak(tag);
    return button;
  }));
  const chosen = $("country").value || store.get().region || settings.region;
  $("country").replaceChildren(...countries(settings.countries, language).map(country => {
    const option = new Option(name(country, language), country.region);
    option.selected = country.region === chosen;
    return option;
  }));
  $("code-label").textContent = say("code", { to: store.get().to, digits: settings.digits });
  countdown();
  showLock();
};

const speak = tag => {
  language = tag;
  localStorage.setItem(KEY, language);
  $("code").removeAttribute("aria-invalid");
  for (const id of ["ask-error", "prove-error", "delivery"]) $(id).textContent = "";
  write();
  watch();
};

$("to").oninput = event => {
  // A correction in the middle is left as it is.
  if ($("to").selectionStart === $("to").value.length && !event.inputType?.startsWith("delete")) {
    $("to").value = format($("to").value, $("country").value);
  }
};
$("country").onchange = () => {
  $("to").value = format($("to").value, $("country").value);
};

const configured = await fetch("page.json").then(answer => answer.json()).catch(() => ({}));
settings = { ...settings, ...configured };
// Digits of some scripts count twice.
$("code").maxLength = settings.digits * 2 + 8;
write();
$("to").value = store.get().number ?? "";
stage();
watch();
if (!store.get().id) $("to").focus();
