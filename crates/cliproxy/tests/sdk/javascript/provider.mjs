// The simulated providers behind the gateway: their models, what they say, and what arrived at them.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { test } from "node:test";

// The packages lie beside their lock file's copy, not beside this file.
export const load = createRequire(`${process.env.SDK_ROOT}/package.json`);
const { z } = load("zod");

export const GATEWAY = process.env.GATEWAY;
// Amp refuses whole answers of other models than Claude that have thoughts beside calls.
export const FOR_AMP = GATEWAY.includes("/api/provider/");
export const KEY = process.env.GATEWAY_KEY;
const WINDOW = process.env.WINDOW;
export const FORMATS = ["chat", "responses", "claude", "gemini"];

export const INPUT = 52;
export const CACHED = 20;
export const OUTPUT = 41;
export const THOUGHT = 12;
export const COUNT = 17;
export const GREETING = "You said: Hi 🌤";
export const CHECKING = "Checking Röme 🌤.";
export const RESULTS = "Röme 🌤 get_weather: 18 C; get_time: noon";
export const CITY = { city: "Röme" };
export const CITY_SCHEMA = {
  type: "object",
  properties: { city: { type: "string", description: "Name of the city" } },
  required: ["city"],
  additionalProperties: false,
};
export const ANSWERS = { get_weather: "18 C", get_time: "noon" };

export const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
export const PDF = Buffer.from(
  "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n",
);

export const Report = z.object({
  city: z.string(),
  degrees: z.number(),
  isSunny: z.boolean(),
  places: z.array(z.object({ name: z.string(), altitude: z.int() })),
});
export const REPORT = { city: "Röme", degrees: 18.5, isSunny: true, places: [{ name: "Röme", altitude: 18 }] };

/** What a provider says when it got a file. */
export function got(kind, data) {
  return `I got ${kind} ${data.length} ${createHash("sha256").update(data).digest("hex")}`;
}

/** One simulated provider. It lists what arrived since it was opened. */
class Provider {
  constructor(name) {
    this.name = name;
    this.model = `${name}-up`;
    this.thinksAlways = name === "gemini";
    /** Whether it issues state that must come back. */
    this.signs = name !== "chat";
  }

  static async open(name) {
    const provider = new Provider(name);
    provider.seen = (await provider.#all()).length;
    return provider;
  }

  fault(kind) {
    return `${this.name}-fault-${kind}`;
  }

  async #call(method, what) {
    const answer = await fetch(`${WINDOW}/${this.name}/${what}`, { method, signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`the window answers ${answer.status}`);
    return answer.text();
  }

  async #all() {
    return JSON.parse(await this.#call("GET", "received"));
  }

  async received() {
    return (await this.#all()).slice(this.seen);
  }

  /** The body of the last request. */
  async last() {
    return (await this.received()).at(-1).body;
  }

  async forget() {
    await this.#call("POST", "forget");
  }

  /** Returns when the gateway lets go of an answer before its end. */
  async untilDropped() {
    await this.#call("GET", "dropped");
  }

  /** The opaque state in the last request, in order. The provider refuses what it did not issue. */
  async states() {
    const body = await this.last();
    switch (this.name) {
      case "claude":
        return blocks(body).flatMap((block) => (block.type === "thinking" ? [block.signature] : []));
      case "responses":
        return body.input.flatMap((item) => (item.type === "reasoning" ? [item.encrypted_content] : []));
      case "gemini":
        return parts(body).flatMap((part) => part.thoughtSignature ?? []);
      default:
        return [];
    }
  }

  /** Ids of calls and of results in the last request; names with Gemini, which has no ids of its own. */
  async pairs() {
    const body = await this.last();
    switch (this.name) {
      case "chat":
        return [
          body.messages.flatMap((message) => (message.tool_calls ?? []).map((call) => call.id)),
          body.messages.flatMap((message) => (message.role === "tool" ? [message.tool_call_id] : [])),
        ];
      case "responses":
        return ["function_call", "function_call_output"].map((kind) =>
          body.input.flatMap((item) => (item.type === kind ? [item.call_id] : [])),
        );
      case "claude":
        return [
          blocks(body).flatMap((block) => (block.type === "tool_use" ? [block.id] : [])),
          blocks(body).flatMap((block) => (block.type === "tool_result" ? [block.tool_use_id] : [])),
        ];
      default:
        return ["functionCall", "functionResponse"].map((kind) =>
          parts(body).flatMap((part) => part[kind]?.name ?? []),
        );
    }
  }
}

function blocks(body) {
  return body.messages.flatMap((message) => (Array.isArray(message.content) ? message.content : []));
}

function parts(body) {
  return body.contents.flatMap((content) => content.parts);
}

/** Declares a test for every provider. */
export function each(name, run) {
  for (const format of FORMATS) {
    test(`${name}, ${format}`, { timeout: 60_000 }, async () => run(await Provider.open(format)));
  }
}

/** Declares a test for every provider, streamed and not. */
export function both(name, run) {
  each(name, (provider) => run(provider, false));
  each(`${name}, streamed`, (provider) => run(provider, true));
}

/** The error that a promise is rejected with. */
export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was refused");
}

/** Reads a stream to its end. */
export async function drain(stream) {
  const all = [];
  for await (const piece of stream) all.push(piece);
  return all;
}
