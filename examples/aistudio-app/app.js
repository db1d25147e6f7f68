// The page's side of the gateway's websocket: takes requests as frames, makes them with fetch, sends the answers back.
// One connection at a time, with any number of requests on it. Frames are described in docs/AISTUDIO.md.

/** The one service that the gateway asks through pages; requests for it go to the base that the form names. */
const SERVICE = "https://generativelanguage.googleapis.com";
/** The first wait before connecting again, and the longest, in milliseconds. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** How often the gateway is asked for a sign of life, and how long it may take. */
const PING = 20_000;
const PONG = 10_000;
/** What may wait in the socket before an answer is read no further. */
const MOST_WAITING = 1 << 20;
/** Finished requests that stay in the table. */
const SHOWN = 20;
/** Headers of answers that the gateway makes use of. */
const HEADERS = ["content-type", "retry-after"];

const element = (id) => document.getElementById(id);
const field = (id) => element(id).value.trim();

/** The connection that is wanted; another one takes its place. */
let current;

class Connection {
  constructor(settings) {
    this.settings = settings;
    this.wait = FIRST_WAIT;
    this.running = new Map();
    this.open();
  }

  open() {
    const url = new URL(this.settings.url);
    // Browsers let no page set headers of a websocket.
    if (this.settings.key) url.searchParams.set("auth_token", this.settings.key);
    show("connecting");
    const socket = (this.socket = new WebSocket(url));
    socket.onopen = () => {
      this.wait = FIRST_WAIT;
      show("connected");
      this.beat(socket);
    };
    socket.onmessage = (message) => this.take(socket, message.data);
    socket.onclose = (event) => this.lost(socket, event.reason);
  }

  /** Ends for good. */
  close() {
    this.isOver = true;
    clearTimeout(this.timer);
    this.socket.close(1000);
    this.giveUp();
  }

  lost(socket, reason) {
    if (socket !== this.socket || this.isOver) return;
    clearInterval(this.pings);
    clearTimeout(this.deadline);
    this.giveUp();
    // Spread a little, so that many pages do not come back at once.
    const wait = Math.round(this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    show(`disconnected${reason ? ` (${reason})` : ""}, connecting again in ${(wait / 1000).toFixed(1)} s`);
    this.timer = setTimeout(() => this.open(), wait);
  }

  /** Nobody waits for these answers any more. */
  giveUp() {
    for (const abort of this.running.values()) abort.abort();
    this.running.clear();
  }

  beat(socket) {
    this.pings = setInterval(() => {
      say(socket, "ping", "ping");
      this.deadline = setTimeout(() => {
        // A connection whose other end is gone without a word closes late or never.
        socket.close();
        this.lost(socket, "no sign of life");
      }, PONG);
    }, PING);
  }

  take(socket, text) {
    const frame = JSON.parse(text);
    if (frame.type === "pong") clearTimeout(this.deadline);
    if (frame.type === "http_request") this.make(socket, frame.id, frame.payload);
  }

  async make(socket, id, request) {
    const abort = new AbortController();
    this.running.set(id, abort);
    const row = new Row(request.url);
    try {
      await this.ask(socket, id, request, abort.signal, row);
      row.end("done");
    } catch (error) {
      const told = error instanceof Error ? error.message : String(error);
      say(socket, id, "error", { error: told, status: error.status });
      row.end(abort.signal.aborted ? "given up" : `failed: ${told}`);
    } finally {
      this.running.delete(id);
    }
  }

  async ask(socket, id, request, signal, row) {
    const answer = await fetch(address(request.url, this.settings.base), {
      method: request.method,
      headers: headers(request.headers, this.settings.geminiKey),
      body: ["GET", "HEAD"].includes(request.method) ? undefined : request.body,
      signal,
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
    });
    const head = { status: answer.status, headers: {} };
    for (const name of HEADERS) {
      if (answer.headers.has(name)) head.headers[name] = answer.headers.get(name);
    }
    row.state(`status ${answer.status}`);
    if (!answer.ok || !request.url.includes(":stream")) {
      const body = await answer.text();
      row.count(body.length);
      say(socket, id, "http_response", { ...head, body });
      return;
    }
    say(socket, id, "stream_start", head);
    const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) break;
      row.count(value.length);
      say(socket, id, "stream_chunk", { data: value });
      await drained(socket);
    }
    say(socket, id, "stream_end");
  }
}

/** Where a request goes; a page that asked anything else would be an open proxy. */
function address(url, base) {
  if (!url.startsWith(`${SERVICE}/`)) {
    throw Object.assign(new Error("this page asks the Gemini API alone"), { status: 403 });
  }
  return base.replace(/\/+$/, "") + url.slice(SERVICE.length);
}

function headers(wanted, geminiKey) {
  const headers = new Headers();
  for (const [name, values] of Object.entries(wanted ?? {})) {
    for (const value of [values].flat()) headers.append(name, value);
  }
  if (geminiKey) headers.set("x-goog-api-key", geminiKey);
  return headers;
}

/** Says a frame, unless nobody is there any more to hear it. */
function say(socket, id, type, payload) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ id, type, payload }));
}

/** Waits until the gateway has taken most of what was said; sockets do not tell when. */
async function drained(socket) {
  while (socket.readyState === WebSocket.OPEN && socket.bufferedAmount > MOST_WAITING) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function show(state) {
  element("state").textContent = state;
}

/** A request in the table. */
class Row {
  constructor(url) {
    this.length = 0;
    this.row = element("requests").insertRow(0);
    for (const text of [url.split("/").at(-1), "asking", "0"]) this.row.insertCell().textContent = text;
    while (element("requests").rows.length > SHOWN) element("requests").deleteRow(-1);
  }

  state(text) {
    this.row.cells[1].textContent = text;
  }

  count(length) {
    this.length += length;
    this.row.cells[2].textContent = this.length;
  }

  end(text) {
    this.state(text);
  }
}

function connect() {
  current?.close();
  current = new Connection({
    url: field("url"),
    key: field("key"),
    base: field("base"),
    geminiKey: field("gemini-key"),
  });
}

element("settings").onsubmit = (event) => {
  event.preventDefault();
  connect();
};
element("disconnect").onclick = () => {
  current?.close();
  current = undefined;
  show("not connected");
};

// Browsers freeze pages in the background and those that they keep for the way back, with their sockets open: such a page
// would be asked and never answer. So it leaves before, and comes back after.
addEventListener("pagehide", () => current?.close());
addEventListener("pageshow", (event) => event.persisted && current && connect());
document.addEventListener("freeze", () => current?.close());
document.addEventListener("resume", () => current && connect());

// Settings may come behind the `#`, which browsers send to nobody: `#url=…&key=…&base=…&gemini-key=…&connect`.
const given = new URLSearchParams(location.hash.slice(1));
for (const id of ["url", "key", "base", "gemini-key"]) {
  if (given.has(id)) element(id).value = given.get(id);
}
if (given.size) history.replaceState(null, "", location.pathname);
if (given.has("connect")) connect();
