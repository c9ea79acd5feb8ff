// The operators' view: /metrics of this process, and /ops.json, which is the same on every process
// of an installation.
const $ = id => document.getElementById(id);
const EVERY = 2000, KEPT = 60;
const make = (tag, text, className = "") => Object.assign(document.createElement(tag), { textContent: text, className });
let token = sessionStorage.getItem("ops-token"), before, histories = {};

const get = async path => {
  const answer = await fetch(path, { signal: AbortSignal.timeout(5000), headers: token ? { authorization: `Bearer ${token}` } : {} });
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

/** Prometheus' text as [name, labels, value]. */
const read = text => [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name, labels, value]) =>
  [name, Object.fromEntries([...(labels ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, key, of]) => [key, of])), Number(value)]);

const sum = (samples, name, labels = {}) => samples
  .filter(([of, has]) => of === `sms_verify_${name}` && Object.entries(labels).every(([key, value]) => has[key] === value))
  .reduce((total, [, , value]) => total + value, 0);

/** The upper bound of the bucket in which half of all are. */
const median = (samples, name, labels = {}) => {
  const half = sum(samples, `${name}_count`, labels) / 2;
  if (!half) return "–";
  const buckets = samples.filter(([of, has]) => of === `sms_verify_${name}_bucket` && Object.entries(labels).every(([key, value]) => has[key] === value));
  const bound = buckets.map(([, has, value]) => [Number(has.le.replace("+Inf", "Infinity")), value]).sort(([a], [b]) => a - b).find(([, value]) => value >= half)?.[0];
  return bound === undefined || bound === Infinity ? "> 600 s" : bound < 1 ? `≤ ${Math.round(bound * 1000)} ms` : `≤ ${bound} s`;
};

const line = values => {
  const most = Math.max(...values, 1e-9);
  const points = values.map((value, index) => `${(index / (KEPT - 1)) * 100},${24 - (value / most) * 22}`);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS(svg.namespaceURI, "path");
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

const rows = (id, cells) => $(id).tBodies[0].replaceChildren(...cells.map(row => {
  const entry = make("tr", "");
  entry.append(...row.map(cell => typeof cell === "object" ? make("td", cell.text, cell.bad ? "bad" : "") : make("td", cell)));
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
    return { text: value < 10 ? value.toFixed(1) : Math.round(value).toString(), history: histories[key] };
  };
  const totals = {}, per = (name, ...of) => { const { text, history } = rate(...of); return figure(`${name} /s`, text, { history }); };
  const accepted = sum(samples, "requests_total", { outcome: "accepted" }), right = sum(samples, "checks_total", { result: "right" });
  $("figures").replaceChildren(
    per("accepted", "requests_total", { outcome: "accepted" }),
    per("throttled", "requests_total", { outcome: "throttled" }),
    per("sent", "deliveries_total", { outcome: "sent" }),
    per("retried", "deliveries_total", { outcome: "retried" }),
    per("held back", "deliveries_total", { outcome: "held" }),
    per("unavailable", "requests_total", { outcome: "unavailable" }),
    per("right codes", "checks_total", { result: "right" }),
    figure("conversion here", accepted ? `${Math.min(100, Math.round((right / accepted) * 100))} %` : "–"),
    figure("spent here, by PRICES", `${(sum(samples, "spent_microdollars_total") / 1e6).toFixed(2)} USD`),
    figure("accepted after", median(samples, "request_seconds")),
    figure("handed out after", median(samples, "queue_age_seconds")),
    figure("sent after", median(samples, "delivery_seconds")),
    figure("jobs in the queue", state.queue?.jobs ?? "?", { bad: state.queue?.jobs > 1000 }),
    figure("dead letters", state.queue?.dead ?? "?", { bad: state.queue?.dead > 0 }),
  );
  before = { totals, at };
  $("no-dead").hidden = state.queue?.dead !== 0;
  $("show-dead").hidden = !state.queue?.dead;
  if (!state.queue?.dead) rows("dead", []);
  rows("gateways", state.gateways.map(({ name, open_for, failures }) => {
    const calls = sum(samples, "gateway_calls_total", { gateway: name });
    return [
      name,
      open_for > 0 ? { text: `open for ${open_for} s`, bad: true } : failures ? `closed, ${failures} failures` : "closed",
      calls,
      calls - sum(samples, "gateway_calls_total", { gateway: name, result: "accepted" }),
      median(samples, "gateway_seconds", { gateway: name }),
    ];
  }));
  rows("policies", samples.filter(([name]) => name === "sms_verify_throttled_total").map(([, { policy }, count]) =>
    [policy === "budget" ? { text: policy, bad: true } : policy, count]));
  rows("countries", state.countries.map(({ country, sent, approved }) => [
    country, sum(samples, "accepted_total", { country }), Math.round(sent), sent >= 1 ? `${Math.round((approved / sent) * 100)} %` : "–",
  ]));
};

$("show-dead").onclick = async () => {
  try {
    const letters = await (await get("ops/dead.json")).json();
    rows("dead", letters.map(({ at, id, to, attempts, class: of, reason }) =>
      [at ? new Date(at).toLocaleString() : "", id ?? "(no job)", to ?? "", attempts, of ?? "", reason]));
  } catch (error) {
    $("state").textContent = error.message;
  }
};

let timer;
const refresh = async () => {
  clearTimeout(timer);
  try {
    const samples = read(await (await get("metrics")).text());
    const countries = [...new Set(samples.filter(([name]) => name === "sms_verify_accepted_total").map(([, labels]) => labels.country))];
    const state = await (await get(`ops.json?countries=${countries.join(",")}`)).json();
    show(samples, state, Date.now());
    $("state").textContent = `as of ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    $("state").textContent = error.message;
  }
  timer = setTimeout(refresh, EVERY);
};
refresh();
