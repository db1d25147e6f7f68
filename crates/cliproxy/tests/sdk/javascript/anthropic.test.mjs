// The official Anthropic SDK over providers of every format.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ANSWERS, CACHED, CHECKING, CITY, CITY_SCHEMA, COUNT, FORMATS, FOR_AMP, GATEWAY, GREETING, INPUT, KEY, OUTPUT, PDF,
  PNG, REPORT, RESULTS, Report, both, drain, each, got, load, rejection,
} from "./provider.mjs";

const { Anthropic } = load("@anthropic-ai/sdk");
const { zodOutputFormat } = load("@anthropic-ai/sdk/helpers/zod");

const client = connect({ authToken: KEY });
const HI = [{ role: "user", content: "Hi" }];
const ASK = [{ role: "user", content: "What is the weather in Rome, and what time is it?" }];
const TOOLS = [
  { name: "get_weather", description: "Weather", input_schema: CITY_SCHEMA },
  { name: "get_time", description: "Time", input_schema: { type: "object", properties: {} } },
];

function connect(credential) {
  return new Anthropic({ baseURL: GATEWAY, maxRetries: 0, timeout: 20_000, ...credential });
}

function checkUsage(usage) {
  assert.deepEqual([usage.input_tokens, usage.cache_read_input_tokens], [INPUT - CACHED, CACHED]);
  assert.equal(usage.output_tokens, OUTPUT);
}

/** An answer; a stream's is accumulated. */
async function asked(isStream, wish) {
  const whole = { max_tokens: 64, ...wish };
  return isStream ? client.messages.stream(whole).finalMessage() : client.messages.create(whole);
}

function ofType(answer, kind) {
  return answer.content.filter((block) => block.type === kind);
}

function textOf(answer) {
  return ofType(answer, "text").map((block) => block.text).join("");
}

function turn(answer) {
  return { role: "assistant", content: answer.content };
}

function resultsOf(calls) {
  const content = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: ANSWERS[call.name] }));
  return { role: "user", content };
}

both("text", async (provider, isStream) => {
  const answer = await asked(isStream, { model: provider.model, system: "Be brief.", messages: HI });
  assert.deepEqual([answer.type, answer.role, answer.model], ["message", "assistant", provider.model]);
  assert.deepEqual(answer.content.map((block) => block.type), ["text"]);
  assert.deepEqual([textOf(answer), answer.stop_reason], [GREETING, "end_turn"]);
  checkUsage(answer.usage);
});

each("key in its own header", async (provider) => {
  const wish = { model: provider.model, max_tokens: 64, messages: HI };
  assert.equal(textOf(await connect({ apiKey: KEY }).messages.create(wish)), GREETING);
});

each("pieces of a stream", async (provider) => {
  const pieces = [];
  const stream = client.messages.stream({ model: provider.model, max_tokens: 64, messages: HI });
  stream.on("text", (piece) => pieces.push(piece));
  await stream.done();
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), GREETING);
});

both("two rounds of parallel tools", async (provider, isStream) => {
  const messages = [...ASK];
  const seen = new Set();
  for (let round = 0; round < 2; round++) {
    let answer = await asked(isStream, { model: provider.model, messages, tools: TOOLS });
    assert.deepEqual([textOf(answer), answer.stop_reason], [CHECKING, "tool_use"]);
    const [weather, time] = ofType(answer, "tool_use");
    assert.deepEqual([weather.name, weather.input], ["get_weather", CITY]);
    assert.deepEqual([time.name, time.input], ["get_time", {}]);
    assert.ok(weather.id !== time.id && !seen.has(weather.id) && !seen.has(time.id));
    seen.add(weather.id).add(time.id);
    messages.push(turn(answer), resultsOf([weather, time]));
    answer = await asked(isStream, { model: provider.model, messages, tools: TOOLS });
    assert.equal(textOf(answer), RESULTS);
    const [calls, results] = await provider.pairs();
    assert.deepEqual(calls, results);
    assert.equal(calls.length, seen.size);
    messages.push(turn(answer), { role: "user", content: "And now?" });
  }
});

each("image and PDF", async (provider) => {
  for (const [type, kind, data] of [["image", "image/png", PNG], ["document", "application/pdf", PDF]]) {
    const source = { type: "base64", media_type: kind, data: data.toString("base64") };
    const content = [{ type, source }, { type: "text", text: "Look" }];
    const answer = await asked(false, { model: provider.model, messages: [{ role: "user", content }] });
    assert.equal(textOf(answer), got(kind, data));
  }
});

both("thinking and its state", async (provider, isStream) => {
  const thinking = { type: "enabled", budget_tokens: 2048 };
  const wish = { model: provider.model, tools: TOOLS, thinking, max_tokens: 8192 };
  const isBare = FOR_AMP && !isStream && provider.name !== "claude";
  const messages = [...ASK];
  for (const round of [1, 2]) {
    let answer = await asked(isStream, { messages, ...wish });
    const thoughts = ofType(answer, "thinking");
    assert.equal(thoughts.length === 0, isBare);
    if (!isBare) {
      assert.equal(answer.content[0].type, "thinking");
      assert.ok(thoughts.map((thought) => thought.thinking).join("").startsWith("Thought "));
    }
    assert.ok(thoughts.every((thought) => thought.signature));
    checkUsage(answer.usage);
    messages.push(turn(answer), resultsOf(ofType(answer, "tool_use")));
    answer = await asked(isStream, { messages, ...wish });
    assert.equal(textOf(answer), RESULTS);
    // The provider refuses a state that it did not issue, so what arrived is what it said.
    if (provider.signs && !isBare) assert.ok(new Set(await provider.states()).size >= round);
    messages.push(turn(answer), { role: "user", content: "And now?" });
  }
});

both("thoughts are not shown unasked", async (provider, isStream) => {
  assert.deepEqual(ofType(await asked(isStream, { model: provider.model, messages: ASK, tools: TOOLS }), "thinking"), []);
});

each("structured output", async (provider) => {
  const output_config = { format: zodOutputFormat(Report) };
  const wish = { model: provider.model, max_tokens: 256, messages: HI, output_config };
  assert.deepEqual((await client.messages.parse(wish)).parsed_output, REPORT);
  assert.deepEqual((await client.messages.stream(wish).finalMessage()).parsed_output, REPORT);
});

for (const [kind, Expected, status, name] of [
  ["400", Anthropic.BadRequestError, 400, "invalid_request_error"],
  // The provider refused the gateway's key, not the client's.
  ["401", Anthropic.InternalServerError, 502, "api_error"],
  ["404", Anthropic.NotFoundError, 404, "not_found_error"],
  ["429", Anthropic.RateLimitError, 429, "rate_limit_error"],
  ["500", Anthropic.InternalServerError, 500, "api_error"],
]) {
  both(`refusal ${kind}`, async (provider, isStream) => {
    const wish = { model: provider.fault(kind), max_tokens: 64, messages: HI, stream: isStream };
    const error = await rejection(client.messages.create(wish));
    assert.ok(error instanceof Expected, String(error));
    assert.deepEqual([error.status, error.error.error.type], [status, name]);
    assert.ok(error.requestID);
    if (kind === "429") assert.equal(error.headers.get("retry-after"), "7");
    assert.equal((await provider.received()).length, 1);
  });
}

for (const [kind, message] of [["stream", /ran into a wall/], ["cut", /in the middle of its answer/]]) {
  each(`${kind} raises the error that it ends with`, async (provider) => {
    let text = "";
    const stream = client.messages.stream({ model: provider.fault(kind), max_tokens: 64, messages: HI });
    stream.on("text", (piece) => (text += piece));
    const error = await rejection(stream.done());
    assert.ok(error instanceof Anthropic.APIError, String(error));
    assert.match(error.message, message);
    assert.match(error.message, /api_error/);
    assert.ok(text && text !== GREETING && GREETING.startsWith(text));
  });
}

each("cancel", async (provider) => {
  await provider.forget();
  const stream = client.messages.stream({ model: provider.fault("stall"), max_tokens: 64, messages: HI });
  await new Promise((resolve) => stream.once("text", resolve));
  stream.abort();
  assert.ok((await rejection(stream.done())) instanceof Anthropic.APIUserAbortError);
  await provider.untilDropped();
});

each("count", async (provider) => {
  const count = await client.messages.countTokens({ model: provider.model, messages: HI, tools: TOOLS });
  // Chat has no such endpoint: the gateway estimates.
  if (provider.name === "chat") assert.ok(count.input_tokens > 0 && count.input_tokens < 1000);
  else assert.equal(count.input_tokens, COUNT);
});

each("wrong key and unknown model", async (provider) => {
  const wish = { max_tokens: 64, messages: HI };
  const refused = connect({ authToken: "wrong" }).messages.create({ model: provider.model, ...wish });
  const wrong = await rejection(refused);
  assert.ok(wrong instanceof Anthropic.AuthenticationError, String(wrong));
  const unknown = await rejection(client.messages.create({ model: `${provider.model}x`, ...wish }));
  assert.ok(unknown instanceof Anthropic.NotFoundError, String(unknown));
  assert.deepEqual(await provider.received(), []);
});

test("models", async () => {
  const listed = await drain(client.models.list());
  for (const name of FORMATS) assert.ok(listed.some((model) => model.id === `${name}-up` && model.type === "model"));
  assert.equal((await client.models.retrieve("claude-up")).id, "claude-up");
  assert.ok((await rejection(client.models.retrieve("nothing"))) instanceof Anthropic.NotFoundError);
});
