// The official OpenAI SDK, Responses, over providers of every format.

import assert from "node:assert/strict";

import {
  ANSWERS, CACHED, CHECKING, CITY, CITY_SCHEMA, COUNT, GATEWAY, GREETING, INPUT, KEY, OUTPUT, PDF, PNG, REPORT,
  RESULTS, Report, THOUGHT, both, drain, each, got, load, rejection,
} from "./provider.mjs";

const { OpenAI } = load("openai");
const { zodTextFormat } = load("openai/helpers/zod");

const client = connect(KEY);
const ASK = [{ role: "user", content: "What is the weather in Rome, and what time is it?" }];
const TOOLS = [
  { type: "function", name: "get_weather", description: "Weather", parameters: CITY_SCHEMA, strict: true },
  { type: "function", name: "get_time", description: "Time", parameters: null, strict: false },
];
const THINKING = { reasoning: { effort: "medium", summary: "auto" }, include: ["reasoning.encrypted_content"] };

function connect(apiKey) {
  return new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey, maxRetries: 0, timeout: 20_000 });
}

function checkUsage(usage, provider, isThinking = false) {
  assert.deepEqual([usage.input_tokens, usage.output_tokens, usage.total_tokens], [INPUT, OUTPUT, INPUT + OUTPUT]);
  assert.equal(usage.input_tokens_details.cached_tokens, CACHED);
  const thought = isThinking || provider.thinksAlways ? THOUGHT : 0;
  assert.equal(usage.output_tokens_details.reasoning_tokens, thought);
}

/** An answer; a stream's is accumulated. */
async function asked(isStream, wish) {
  return isStream ? client.responses.stream(wish).finalResponse() : client.responses.create(wish);
}

function ofType(answer, kind) {
  return answer.output.filter((item) => item.type === kind);
}

/** Output as it is sent back in the next request, and the results of its calls. */
function returned(answer) {
  const items = answer.output.map(({ parsed_arguments, ...item }) => item);
  const results = ofType(answer, "function_call").map((call) => ({
    type: "function_call_output",
    call_id: call.call_id,
    output: ANSWERS[call.name],
  }));
  return [...items, ...results];
}

both("text", async (provider, isStream) => {
  const answer = await asked(isStream, { model: provider.model, instructions: "Be brief.", input: "Hi" });
  assert.deepEqual([answer.object, answer.status, answer.model], ["response", "completed", provider.model]);
  assert.equal(answer.output_text, GREETING);
  checkUsage(answer.usage, provider);
});

each("events of a stream", async (provider) => {
  const events = await drain(await client.responses.create({ model: provider.model, input: "Hi", stream: true }));
  const kinds = events.map((event) => event.type);
  assert.deepEqual(kinds.slice(0, 2), ["response.created", "response.in_progress"]);
  assert.equal(kinds.at(-1), "response.completed");
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
  const pieces = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), GREETING);
  const items = events.filter((event) => event.type === "response.output_item.done").map((event) => event.item);
  assert.deepEqual(items, events.at(-1).response.output);
});

both("two rounds of parallel tools", async (provider, isStream) => {
  const wish = { model: provider.model, tools: TOOLS, store: false };
  const input = [...ASK];
  const seen = new Set();
  for (let round = 0; round < 2; round++) {
    let answer = await asked(isStream, { input, ...wish });
    assert.equal(answer.output_text, CHECKING);
    const [weather, time] = ofType(answer, "function_call");
    assert.deepEqual([weather.name, JSON.parse(weather.arguments)], ["get_weather", CITY]);
    assert.deepEqual([time.name, JSON.parse(time.arguments)], ["get_time", {}]);
    assert.ok(weather.call_id !== time.call_id && !seen.has(weather.call_id) && !seen.has(time.call_id));
    seen.add(weather.call_id).add(time.call_id);
    input.push(...returned(answer));
    answer = await asked(isStream, { input, ...wish });
    assert.equal(answer.output_text, RESULTS);
    const [calls, results] = await provider.pairs();
    assert.deepEqual(calls, results);
    assert.equal(calls.length, seen.size);
    input.push(...returned(answer), { role: "user", content: "And now?" });
  }
});

each("image", async (provider) => {
  const image = { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${PNG.toString("base64")}` };
  const input = [{ role: "user", content: [{ type: "input_text", text: "See" }, image] }];
  assert.equal((await asked(false, { model: provider.model, input })).output_text, got("image/png", PNG));
});

each("PDF", async (provider) => {
  const data = `data:application/pdf;base64,${PDF.toString("base64")}`;
  const file = { type: "input_file", filename: "a.pdf", file_data: data };
  const input = [{ role: "user", content: [{ type: "input_text", text: "Read" }, file] }];
  assert.equal((await asked(false, { model: provider.model, input })).output_text, got("application/pdf", PDF));
});

both("thinking and its state", async (provider, isStream) => {
  const wish = { model: provider.model, tools: TOOLS, store: false, ...THINKING };
  const input = [...ASK];
  for (const round of [1, 2]) {
    let answer = await asked(isStream, { input, ...wish });
    const thoughts = ofType(answer, "reasoning");
    const said = thoughts.flatMap((thought) => thought.summary.map((part) => part.text)).join("");
    assert.ok(said.startsWith("Thought "));
    assert.equal(thoughts.some((thought) => thought.encrypted_content), provider.signs);
    checkUsage(answer.usage, provider, true);
    input.push(...returned(answer));
    answer = await asked(isStream, { input, ...wish });
    assert.equal(answer.output_text, RESULTS);
    // The provider refuses a state that it did not issue, so what arrived is what it said.
    if (provider.signs) assert.ok(new Set(await provider.states()).size >= round);
    input.push(...returned(answer), { role: "user", content: "And now?" });
  }
});

each("structured output", async (provider) => {
  const wish = { model: provider.model, input: "Hi", text: { format: zodTextFormat(Report, "report") } };
  assert.deepEqual((await client.responses.parse(wish)).output_parsed, REPORT);
  assert.deepEqual((await client.responses.stream(wish).finalResponse()).output_parsed, REPORT);
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
    const error = await rejection(client.responses.create({ model: provider.fault(kind), input: "Hi", stream: isStream }));
    assert.ok(error instanceof Expected, String(error));
    assert.equal(error.status, status);
    assert.ok(error.type && error.message && error.requestID);
    if (kind === "429") assert.equal(error.headers.get("retry-after"), "7");
    assert.equal((await provider.received()).length, 1);
  });
}

for (const [kind, message] of [["stream", /ran into a wall/], ["cut", /in the middle of its answer/]]) {
  each(`${kind} raises the error that it ends with`, async (provider) => {
    const kinds = [];
    const stream = await client.responses.create({ model: provider.fault(kind), input: "Hi", stream: true });
    const error = await rejection((async () => {
      for await (const event of stream) kinds.push(event.type);
    })());
    assert.ok(error instanceof OpenAI.APIError, String(error));
    assert.match(error.message, message);
    assert.equal(kinds.at(-1), "response.output_text.delta");
  });
}

each("cancel", async (provider) => {
  await provider.forget();
  const stream = await client.responses.create({ model: provider.fault("stall"), input: "Hi", stream: true });
  for await (const event of stream) if (event.type === "response.output_text.delta") break;
  await provider.untilDropped();
});

each("count", async (provider) => {
  const count = await client.responses.inputTokens.count({ model: provider.model, input: "Hi", tools: TOOLS });
  assert.equal(count.object, "response.input_tokens");
  // Chat has no such endpoint: the gateway estimates.
  if (provider.name === "chat") assert.ok(count.input_tokens > 0 && count.input_tokens < 200);
  else assert.equal(count.input_tokens, COUNT);
});

each("wrong key and unknown model", async (provider) => {
  const wrong = await rejection(connect("wrong").responses.create({ model: provider.model, input: "Hi" }));
  assert.ok(wrong instanceof OpenAI.AuthenticationError, String(wrong));
  const unknown = await rejection(client.responses.create({ model: `${provider.model}x`, input: "Hi" }));
  assert.ok(unknown instanceof OpenAI.NotFoundError, String(unknown));
  assert.equal(unknown.code, "model_not_found");
  assert.deepEqual(await provider.received(), []);
});
