// A bot that sends back what it is told, with nothing but fetch (Node 18 or later).
//
//     rookery token create --identity KEY
//     ROOKERY_TOKEN=... ROOKERY_IDENTITY=KEY node echo.mjs

const url = process.env.ROOKERY_URL ?? "http://127.0.0.1:7330";
const identity = process.env.ROOKERY_IDENTITY;
const headers = { Authorization: `Bearer ${process.env.ROOKERY_TOKEN}`, "Content-Type": "application/json" };

async function call(method, body) {
  const answer = await fetch(`${url}/rookery.api.v1.${method}`, {
    method: "POST", headers, body: JSON.stringify({ identity, ...body }),
  });
  const content = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(content.message), { code: content.code });
  return content;
}

// Gives the events of one stream behind a cursor.
async function* stream(cursor) {
  const answer = await fetch(`${url}/v1/events?identity=${identity}`, { headers: { ...headers, "Last-Event-ID": cursor } });
  if ([401, 403, 404].includes(answer.status)) throw Object.assign(new Error(await answer.text()), { code: "refused" });
  if (!answer.ok) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of answer.body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("event: end")) return;
      if (line.startsWith("data: ")) yield JSON.parse(line.slice("data: ".length));
    }
  }
}

async function handle(event) {
  if (event.type === "EVENT_TYPE_CONTACT_REQUEST") {
    await call("ContactService/AcceptContact", { contact: event.contact }).catch((error) => {
      if (error.code !== "failed_precondition") throw error; // else it was accepted before
    });
  }
  if (["EVENT_TYPE_CONTACT_REQUEST", "EVENT_TYPE_MESSAGE"].includes(event.type)) {
    // The key makes it one answer, even if this process ends before it acknowledges.
    await call("MessageService/Send", { to: event.contact, payload: event.payload, idempotencyKey: `echo ${event.id}` });
    await call("EventService/AckEvents", { ids: [event.id] });
  }
}

for (let cursor = ""; ; await new Promise((again) => setTimeout(again, 1000))) {
  try {
    for await (const event of stream(cursor)) {
      await handle(event);
      cursor = event.cursor;
    }
  } catch (error) {
    if (error.code) throw error; // the daemon has refused something
  }
}
