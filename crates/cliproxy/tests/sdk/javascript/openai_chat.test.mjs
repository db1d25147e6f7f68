// The official OpenAI SDK, Chat Completions, over providers of every format.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ANSWERS, CACHED, CHECKING, CITY, CITY_SCHEMA, FORMATS, GATEWAY, GREETING, INPUT, KEY, OUTPUT, PDF, PNG, REPORT,
  RESULTS, Report, THOUGHT, both, drain, each, got, load, rejection,
} from "./provider.mjs";

const { OpenAI } = load("openai");
const { zodResponseFormat } = load("openai/helpers/zod");

const client = connect(KEY);
const HI = [{ role: "system", content: "Be brief." }, { role: "user", content: "Hi" }];
const ASK = [{ role: "user", content: "What is the weather in Rome, and what time is it?" }];
const TOOLS = [
  { type: "function", function: { name: "get_weather", description: "Weather", parameters: CITY_SCHEMA } },
  { type: "function", function: { name: "get_time", description: "Time" } },
];

function connect(apiKey) {
  return new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey, maxRetries: 0, timeout: 20_000 });
}

function checkUsage(usage, provider, isThinking = false) {
  assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [INPUT, OUTPUT]);
  assert.equal(usage.total_tokens, INPUT + OUTPUT);
  assert.equal(usage.prompt_tokens_details.cached_tokens, CACHED);
  const thought = isThinking || provider.thinksAlways ? THOUGHT : 0;
  assert.equal(usage.completion_tokens_details.reasoning_tokens ?? 0, thought);
}

/** An answer; a stream's is accumulated. */
async function asked(isStream, wish) {
  if (!isStream) return client.chat.completions.create(wish);
  return client.chat.completions.stream({ stream_options: { include_usage: true }, ...wish }).finalChatCompletion();
}

function answersTo(calls) {
  return calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: ANSWERS[call.function.name] }));
}

both("text", async (provider, isStream) => {
  const answer = await asked(isStream, { model: provider.model, messages: HI });
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.model, provider.model);
  const [choice] = answer.choices;
  assert.deepEqual([choice.message.role, choice.message.content, choice.finish_reason], ["assistant", GREETING, "stop"]);
  checkUsage(answer.usage, provider);
});

each("raw stream without counts", async (provider) => {
  const chunks = await drain(await client.chat.completions.create({ model: provider.model, messages: HI, stream: true }));
  const pieces = chunks.map((chunk) => chunk.choices[0].delta.content).filter(Boolean);
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), GREETING);
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.ok(chunks.every((chunk) => !chunk.usage));
});

both("two rounds of parallel tools", async (provider, isStream) => {
  const messages = [...ASK];
  const seen = new Set();
  for (let round = 0; round < 2; round++) {
    let answer = await asked(isStream, { model: provider.model, messages, tools: TOOLS });
    const { message, finish_reason } = answer.choices[0];
    assert.deepEqual([finish_reason, message.content], ["tool_calls", CHECKING]);
    const [weather, time] = message.tool_calls;
    assert.deepEqual([weather.function.name, JSON.parse(weather.function.arguments)], ["get_weather", CITY]);
    assert.deepEqual([time.function.name, JSON.parse(time.function.arguments)], ["get_time", {}]);
    assert.ok(weather.id !== time.id && !seen.has(weather.id) && !seen.has(time.id));
    seen.add(weather.id).add(time.id);
    messages.push(message, ...answersTo([weather, time]));
    answer = await asked(isStream, { model: provider.model, messages, tools: TOOLS });
    assert.equal(answer.choices[0].message.content, RESULTS);
    const [calls, results] = await provider.pairs();
    assert.deepEqual(calls, results);
    assert.equal(calls.length, seen.size);
    messages.push(answer.choices[0].message, { role: "user", content: "And now?" });
  }
});

each("tools run by the SDK", async (provider) => {
  const run = (name, parameters, work) => ({
    type: "function",
    function: { name, description: name, parameters, parse: JSON.parse, function: work },
  });
  const tools = [
    run("get_weather", CITY_SCHEMA, (given) => (assert.deepEqual(given, CITY), ANSWERS.get_weather)),
    run("get_time", { type: "object", properties: {} }, () => ANSWERS.get_time),
  ];
  const runner = client.chat.completions.runTools({ model: provider.model, messages: ASK, tools, stream: true });
  assert.equal(await runner.finalContent(), RESULTS);
});

each("image", async (provider) => {
  const url = `data:image/png;base64,${PNG.toString("base64")}`;
  const content = [{ type: "text", text: "See" }, { type: "image_url", image_url: { url } }];
  const answer = await asked(false, { model: provider.model, messages: [{ role: "user", content }] });
  assert.equal(answer.choices[0].message.content, got("image/png", PNG));
});

each("PDF", async (provider) => {
  const file = { filename: "a.pdf", file_data: `data:application/pdf;base64,${PDF.toString("base64")}` };
  const content = [{ type: "text", text: "Read" }, { type: "file", file }];
  const answer = await asked(false, { model: provider.model, messages: [{ role: "user", content }] });
  assert.equal(answer.choices[0].message.content, got("application/pdf", PDF));
});

both("thinking and its state", async (provider, isStream) => {
  const wish = { model: provider.model, tools: TOOLS, reasoning_effort: "medium" };
  const messages = [...ASK];
  for (const round of [1, 2]) {
    let answer = await asked(isStream, { messages, ...wish });
    const { message } = answer.choices[0];
    // Of a member that it does not know this accumulator keeps the last piece alone.
    const isMaimed = isStream;
    assert.equal(message.reasoning_content.startsWith("Thought "), !isMaimed);
    assert.ok(message.reasoning_content.endsWith("weather."));
    assert.ok(!message.content.includes("Thought"));
    checkUsage(answer.usage, provider, true);
    messages.push(message, ...answersTo(message.tool_calls));
    answer = await asked(isStream, { messages, ...wish });
    assert.equal(answer.choices[0].message.content, RESULTS);
    // A signature of Claude covers the text, of which the gateway remembers the whole.
    if (provider.signs) {
      // The provider refuses a state that it did not issue, so what arrived is what it said.
      assert.ok(new Set(await provider.states()).size >= round);
    }
    messages.push(answer.choices[0].message, { role: "user", content: "And now?" });
  }
});

each("structured output", async (provider) => {
  const wish = { model: provider.model, messages: HI, response_format: zodResponseFormat(Report, "report") };
  assert.deepEqual((await client.chat.completions.parse(wish)).choices[0].message.parsed, REPORT);
  const streamed = await client.chat.completions.stream(wish).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, REPORT);
});

for (const [kind, Expected, status] of [
  ["400", OpenAI.BadRequestError, 400],
  // The provider refused the gateway's key, not the client's.
  ["401", OpenAI.InternalServerError, 502],
  ["404", OpenAI.NotFoundError, 404],
  ["429", OpenAI.RateLimitError, 429],
  ["500", OpenAI.InternalServerError, 500],
]) {
  both(`refusal ${kind}`, async (provider, isStream) => {
    const wish = { model: provider.fault(kind), messages: HI, stream: isStream };
    const error = await rejection(client.chat.completions.create(wish));
    assert.ok(error instanceof Expected, String(error));
    assert.equal(error.status, status);
    assert.ok(error.type && error.message && error.requestID);
    if (kind === "429") assert.equal(error.headers.get("retry-after"), "7");
    assert.equal((await provider.received()).length, 1);
  });
}

each("error in the stream", async (provider) => {
  let text = "";
  const stream = await client.chat.completions.create({ model: provider.fault("stream"), messages: HI, stream: true });
  const error = await rejection((async () => {
    for await (const chunk of stream) text += chunk.choices[0].delta.content ?? "";
  })());
  assert.ok(error instanceof OpenAI.APIError, String(error));
  assert.match(error.message, /ran into a wall/);
  assert.ok(text && text !== GREETING && GREETING.startsWith(text));
});

each("broken stream", async (provider) => {
  const stream = await client.chat.completions.create({ model: provider.fault("cut"), messages: HI, stream: true });
  assert.ok((await rejection(drain(stream))) instanceof OpenAI.APIError);
});

each("cancel", async (provider) => {
  await provider.forget();
  const stream = await client.chat.completions.create({ model: provider.fault("stall"), messages: HI, stream: true });
  for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
  await provider.untilDropped();
});

each("wrong key and unknown model", async (provider) => {
  const wrong = await rejection(connect("wrong").chat.completions.create({ model: provider.model, messages: HI }));
  assert.ok(wrong instanceof OpenAI.AuthenticationError, String(wrong));
  const unknown = await rejection(client.chat.completions.create({ model: `${provider.model}x`, messages: HI }));
  assert.ok(unknown instanceof OpenAI.NotFoundError, String(unknown));
  assert.equal(unknown.code, "model_not_found");
  assert.deepEqual(await provider.received(), []);
});

test("models", async () => {
  const listed = (await drain(client.models.list())).map((model) => model.id);
  for (const name of FORMATS) assert.ok(listed.includes(`${name}-up`));
  assert.equal((await client.models.retrieve("claude-up")).id, "claude-up");
  assert.ok((await rejection(client.models.retrieve("nothing"))) instanceof OpenAI.NotFoundError);
});
