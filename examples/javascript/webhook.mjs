// The endpoint of a webhook: verifies what is posted, and prints it once.
//
//     WEBHOOK_SECRET=whsec_... node webhook.mjs
//     rookery webhook create --identity KEY http://127.0.0.1:8080/
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
const tolerance = 300; // seconds
const most = 2 << 20; // bytes of an event

// verify gives the id of the event, or throws.
function verify(headers, body) {
  const id = headers["webhook-id"] ?? "";
  const stamp = headers["webhook-timestamp"] ?? "";
  if (!(Math.abs(Date.now() / 1000 - Number(stamp)) <= tolerance)) throw new Error("too old, or too new");
  const want = createHmac("sha256", key).update(`${id}.${stamp}.`).update(body).digest();
  for (const one of (headers["webhook-signature"] ?? "").split(" ")) {
    const [version, signature] = one.split(",");
    const got = Buffer.from(signature ?? "", "base64");
    if (version === "v1" && got.length === want.length && timingSafeEqual(got, want)) return id;
  }
  throw new Error("not signed with our secret");
}

const seen = new Set(); // what must not be done twice belongs into a database

const server = createServer(async (request, response) => {
  const pieces = [];
  let size = 0;
  try {
    for await (const piece of request) {
      if ((size += piece.length) > most) {
        response.writeHead(413, { connection: "close" }).end();
        return;
      }
      pieces.push(piece);
    }
  } catch {
    return; // whoever posted it has gone away
  }
  const body = Buffer.concat(pieces);
  let id;
  try {
    id = verify(request.headers, body);
  } catch (error) {
    response.writeHead(401).end(error.message);
    return;
  }
  if (!seen.has(id)) {
    const event = JSON.parse(body);
    console.log(event.type, event.contact ?? "", Buffer.from(event.payload ?? "", "base64").toString());
    seen.add(id);
  }
  response.writeHead(204).end(); // only now: it does not come again
});
server.listen(Number(process.env.PORT ?? "8080"), "127.0.0.1", () => console.log("listening on", server.address().port));
