// The operators' view: /metrics of this process, and /ops.json, which is the same on every process
// of an installation.
const $ = id => document.getElementById(id);
const EVERY = 2000, KEPT = 60;
const make = (tag, textContent, className = "") =>
  Object.assign(document.createElement(tag), { textContent, className });
let token = sessionStorage.getItem("ops-token"), before, histories = {};

const get = async path => {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { signal: AbortSignal.timeout(5000), headers });
  if (answer.status === 401) {
    $("ask").hidden = false;
    throw new Error("a token is needed");
  }
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  $("ask").hidden = true;
  return answer;
};

$("ask").onsubmit = event => {
  event.preventDefault();
  token = $("token").value;
  sessionStorage.setItem("ops-token", token);
  refresh();
};

const labelsOf = text =>
  Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, of]) => [key, of]));

/** Prometheus' text as [name, labels, value]. */
const read = text => [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(
  ([, name, labels, value]) => [name, labelsOf(labels ?? ""), Number(value)]);

/** The samples of a metric that have these labels, and perhaps others. */
const pick = (samples, name, labels = {}) => {
  const wanted = Object.entries(labels);
  return samples.filter(([of, has]) =>
    of === `sms_verify_${name}` && wanted.every(([key, value]) => has[key] === value));
};

const sum = (samples, name, labels = {}) =>
  pick(samples, name, labels).reduce((total, [, , value]) => total + value, 0);

const percent = share => `${Math.round(share * 100)} %`;

/** The upper bound of the bucket in which half of all are. */
const median = (samples, name, labels = {}) => {
  const half = sum(samples, `${name}_count`, labels) / 2;
  if (!half) return "–";
  const bound = pick(samples, `${name}_bucket`, labels)
    .map(([, has, value]) => [Number(has.le.replace("+Inf", "Infinity")), value])
    .sort(([a], [b]) => a - b)
    .find(([, value]) => value >= half)?.[0];
  if (bound === undefined || bound === Infinity) return "> 600 s";
  return bound < 1 ? `≤ ${Math.round(bound * 1000)} ms` : `≤ ${bound} s`;
};

const line = values => {
  const most = Math.max(...values, 1e-9);
  const points = values.map(
    (value, index) => `${(index / (KEPT - 1)) * 100},${24 - (value / most) * 22}`);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 100 25");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.ariaHidden = "true";
  path.setAttribute("d", `M${points.join("L")}`);
  svg.append(path);
  return svg;
};

const figure = (name, value, { bad = false, history } = {}) => {
  const box = make("div", "", bad ? "figure bad" : "figure");
  box.append(make("b", value), make("span", name));
  if (history) box.append(line(history));
  return box;
};

const cell = of =>
  typeof of === "object" ? make("td", of.text, of.bad ? "bad" : "") : make("td", of);

const rows = (id, cells) => $(id).tBodies[0].replaceChildren(...cells.map(row => {
  const entry = make("tr", "");
  entry.append(...row.map(cell));
  return entry;
}));

const show = (samples, state, at) => {
  const rate = (name, labels) => {
    const key = name + JSON.stringify(labels ?? {}), now = sum(samples, name, labels);
    const was = before?.totals[key] ?? now;
    before ??= { totals: {}, at };
    const value = before.at < at ? Math.max(0, now - was) / ((at - before.at) / 1000) : 0;
    totals[key] = now;
    (histories[key] ??= []).push(value);
    histories[key] = histories[key].slice(-KEPT);
    const text = value < 10 ? value.toFixed(1) : Math.round(value).toString();
    return { text, history: histories[key] };
  };
  const totals = {};
  const per = (name, ...of) => {
    const { text, history } = rate(...of);
    return figure(`${name} /s`, text, { history });
  };
  const accepted = sum(samples, "requests_total", { outcome: "accepted" });
  const right = sum(samples, "checks_total", { result: "right" });
  const spent = sum(samples, "spent_microdollars_total") / 1e6;
  $("figures").replaceChildren(
    per("accepted", "requests_total", { outcome: "accepted" }),
    per("throttled", "requests_total", { outcome: "throttled" }),
    per("sent", "deliveries_total", { outcome: "sent" }),
    per("retried", "deliveries_total", { outcome: "retried" }),
    per("held back", "deliveries_total", { outcome: "held" }),
    per("unavailable", "requests_total", { outcome: "unavailable" }),
    per("right codes", "checks_total", { result: "right" }),
    figure("conversion here", accepted ? percent(Math.min(1, right / accepted)) : "–"),
    figure("spent here, by PRICES", `${spent.toFixed(2)} USD`),
    figure("accepted after", median(samples, "request_seconds")),
    figure("handed out after", median(samples, "queue_age_seconds")),
    figure("sent after", median(samples, "delivery_seconds")),
    figure("messages in the queue", state.queue?.messages ?? "?", {
      bad: state.queue?.messages > 1000,
    }),
    figure("dead letters", state.queue?.dead ?? "?", { bad: state.queue?.dead > 0 }),
  );
  before = { totals, at };
  $("no-dead").hidden = state.queue?.dead !== 0;
  $("show-dead").hidden = !state.queue?.dead;
  if (!state.queue?.dead) rows("dead", []);
  rows("gateways", state.gateways.map(({ name, open_for, failures }) => {
    const calls = sum(samples, "gateway_calls_total", { gateway: name });
    const closed = failures ? `closed, ${failures} failures` : "closed";
    return [
      name,
      open_for > 0 ? { text: `open for ${open_for} s`, bad: true } : closed,
      calls,
      calls - sum(samples, "gateway_calls_total", { gateway: name, result: "accepted" }),
      median(samples, "gateway_seconds", { gateway: name }),
    ];
  }));
  rows("policies", pick(samples, "throttled_total").map(([, { policy }, count]) =>
    [policy === "budget" ? { text: policy, bad: true } : policy, count]));
  rows("countries", state.countries.map(({ country, sent, approved }) => [
    country,
    sum(samples, "accepted_total", { country }),
    Math.round(sent),
    sent >= 1 ? percent(approved / sent) : "–",
  ]));
};

$("show-dead").onclick = async () => {
  try {
    const letters = await (await get("ops/dead.json")).json();
    rows("dead", letters.map(({ at, id, to, attempts, class: of, reason }) => {
      const died = at ? new Date(at).toLocaleString() : "";
      return [died, id ?? "(no job)", to ?? "", attempts, of ?? "", reason];
    }));
  } catch (error) {
    $("state").textContent = error.message;
  }
};

let timer;
const refresh = async () => {
  clearTimeout(timer);
  try {
    const samples = read(await (await get("metrics")).text());
    const accepted = pick(samples, "accepted_total");
    const countries = [...new Set(accepted.map(([, { country }]) => country))];
    const state = await (await get(`ops.json?countries=${countries.join(",")}`)).json();
    show(samples, state, Date.now());
    $("state").textContent = `as of ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    $("state").textContent = error.message;
  }
  timer = setTimeout(refresh, EVERY);
};
refresh();
