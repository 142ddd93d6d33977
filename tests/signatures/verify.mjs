// Webhooks of a running gateway, verified by the official library for JavaScript; what
// came is written to a file, for the one for Python (verify.py).
//
// The libraries know `v1`. `v1a` is verified by Node's own Ed25519.
//
// BASE_URL, CLIENT_ID, CLIENT_SECRET name the gateway and a platform, RECEIVER_PORT the
// port that the gateway may call, RECEIVED the file.

import { createPublicKey, verify as verifies } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const { BASE_URL, CLIENT_ID, CLIENT_SECRET, RECEIVER_PORT, RECEIVED } = process.env;
let passed = 0;
let failed = 0;

function check(name, holds) {
  holds ? passed++ : failed++;
  console.log(`${holds ? "ok  " : "FAIL"} ${name}`);
}

function refused(work) {
  try {
    work();
    return false;
  } catch {
    return true;
  }
}

const received = [];
const receiver = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const wanted = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    const headers = Object.fromEntries(wanted.map((name) => [name, request.headers[name]]));
    received.push({ headers, body: Buffer.concat(parts).toString("utf8") });
    response.writeHead(200).end();
  });
});
await new Promise((ready) => receiver.listen(Number(RECEIVER_PORT), "127.0.0.1", ready));

async function call(method, path, body, headers = {}) {
  const answer = await fetch(`${BASE_URL}${path}`, { method, body, headers });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

const form = new URLSearchParams({ grant_type: "client_credentials", client_id: CLIENT_ID, client_secret: CLIENT_SECRET });
const { access_token } = await call("POST", "/oauth/token", form);
const authorized = { authorization: `Bearer ${access_token}`, "content-type": "application/json" };
const api = (method, path, body) => call(method, path, body && JSON.stringify(body), authorized);

/** Closes a posting, which is an event, and waits for its webhook. */
async function next(n) {
  await api("POST", "/v1/postings", [
    {
      source_id: `S-${n}`,
      title: "外卖骑手",
      job_location: { region: "330212" },
      base_salary: { text: "5000-8000元/月" },
    },
  ]);
  const { items } = await api("GET", `/v1/postings?source_id=S-${n}`);
  await api("DELETE", `/v1/postings/${items[0].id}`);
  for (let tries = 0; received.length < n; tries++) {
    if (tries > 200) throw new Error("no webhook came");
    await new Promise((later) => setTimeout(later, 50));
  }
  return received[n - 1];
}

/** Whether one of the `v1a` signatures is by this `whpk_…`. */
function asymmetric(key, { headers, body }) {
  const raw = Buffer.from(key.replace(/^whpk_/, ""), "base64");
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });
  const signed = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
  const signatures = headers["webhook-signature"].split(" ").filter((one) => one.startsWith("v1a,"));
  return signatures.some((one) => verifies(null, signed, publicKey, Buffer.from(one.slice(4), "base64")));
}

const endpoint = await api("POST", "/v1/webhook-endpoints", { url: `http://127.0.0.1:${RECEIVER_PORT}/hook` });
const first = await next(1);
const webhook = new Webhook(endpoint.secret);
check("the library verifies what came", webhook.verify(first.body, first.headers).type === "posting.closed");
check("a changed body is refused", refused(() => webhook.verify(first.body.replace("closed", "filled"), first.headers)));
check("another id is refused", refused(() => webhook.verify(first.body, { ...first.headers, "webhook-id": "other" })));
const stale = { ...first.headers, "webhook-timestamp": String(Number(first.headers["webhook-timestamp"]) - 1) };
check("another time is refused", refused(() => webhook.verify(first.body, stale)));
check("another secret is refused", refused(() => new Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").verify(first.body, first.headers)));
check("v1a verifies with the public key", asymmetric(endpoint.public_key, first));
check("v1a of a changed body does not", !asymmetric(endpoint.public_key, { ...first, body: `${first.body} ` }));

const rotated = await api("POST", `/v1/webhook-endpoints/${endpoint.id}/rotate-secret`, {});
const second = await next(2);
check("after a rotation the old secret verifies", webhook.verify(second.body, second.headers).type === "posting.closed");
check("and so does the new one", new Webhook(rotated.secret).verify(second.body, second.headers).type === "posting.closed");
check("the old and the new key do as well", [endpoint, rotated].every((of) => asymmetric(of.public_key, second)));
check("the new secret does not verify what came before", refused(() => new Webhook(rotated.secret).verify(first.body, first.headers)));

writeFileSync(RECEIVED, JSON.stringify({ secrets: [endpoint.secret, rotated.secret], received }));
receiver.close();
receiver.closeAllConnections();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
