// Twilio's client for Node, unchanged but for the host: tests/it/compat/twilio.rs gives it orders.
//
//     node tests/twilio/client.mjs http://127.0.0.1:8080 AC... KEY [OPTIONS]
//
// Each line of standard input is a call, each line of standard output what came of it. OPTIONS are
// the client's, as JSON.
import { createInterface } from "node:readline";
import twilio from "twilio";

const [base, account, key, options = "{}"] = process.argv.slice(2);
const client = twilio(account, key, JSON.parse(options));
client.verify.baseUrl = base;
const services = client.verify.v2.services;

const calls = {
  create: ({ service, params }) => services(service).verifications.create(camel(params)),
  check: ({ service, params }) => services(service).verificationChecks.create(camel(params)),
  fetch: ({ service, name }) => services(service).verifications(name).fetch(),
  update: ({ service, name, params }) => services(service).verifications(name).update(params),
  services: () => services.list(),
  service: ({ service }) => services(service).fetch(),
  "create service": () => services.create({ friendlyName: "another" }),
  "update service": ({ service }) => services(service).update({ friendlyName: "another" }),
  "delete service": ({ service }) => services(service).remove(),
  "rate limits": ({ service }) => services(service).rateLimits.list(),
  "create rate limit": ({ service }) =>
    services(service).rateLimits.create({ uniqueName: "another" }),
  // Where a request to this URL goes.
  host: ({ name }) => {
    const url = new URL(name);
    url.hostname = client.getHostname(url.hostname);
    return url.href;
  },
};

// The names of parameters as Node has them.
function camel(params) {
  const name = (text) => text.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(params).map(([key, value]) => [name(key), value]));
}

// What the client has made of an answer, with names as Python has them: a date is marked as one.
function shown(value) {
  if (value instanceof Date) return { date: value.toISOString().replace(".000Z", "Z") };
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== "object") return value;
  const name = (text) => text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const members = Object.entries(value.toJSON?.() ?? value);
  return Object.fromEntries(members.map(([key, item]) => [name(key), shown(item)]));
}

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  let result;
  try {
    result = { ok: shown(await calls[call.call](call)) };
  } catch (error) {
    const { code, status, message } = error;
    result = { error: { kind: error.constructor.name, code, status, message } };
  }
  console.log(JSON.stringify(result));
}
