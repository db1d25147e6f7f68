// The official Google GenAI SDK over providers of every format. It calls under /v1 as well as under /v1beta.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ANSWERS, CACHED, CHECKING, CITY, CITY_SCHEMA, COUNT, FORMATS, GATEWAY, GREETING, INPUT, KEY, OUTPUT, PDF, PNG,
  REPORT, RESULTS, Report, THOUGHT, both, drain, each, got, load, rejection,
} from "./provider.mjs";

const { ApiError, GoogleGenAI } = load("@google/genai");
const { z } = load("zod");

const client = connect(KEY);
const ASK = "What is the weather in Rome, and what time is it?";
const TOOLS = [
  {
    functionDeclarations: [
      { name: "get_weather", description: "Weather", parametersJsonSchema: CITY_SCHEMA },
      { name: "get_time", description: "Time" },
    ],
  },
];
const THINKING = { includeThoughts: true, thinkingLevel: "MEDIUM" };

function connect(apiKey, options = {}) {
  return new GoogleGenAI({ apiKey, httpOptions: { baseUrl: GATEWAY, timeout: 20_000, ...options } });
}

function checkUsage(usage, provider, isThinking = false) {
  const thought = isThinking || provider.thinksAlways ? THOUGHT : 0;
  assert.deepEqual([usage.promptTokenCount, usage.cachedContentTokenCount], [INPUT, CACHED]);
  assert.deepEqual([usage.candidatesTokenCount, usage.thoughtsTokenCount ?? 0], [OUTPUT - thought, thought]);
  assert.equal(usage.totalTokenCount, INPUT + OUTPUT);
}

/** An answer; a stream's chunks joined. */
async function asked(isStream, wish) {
  if (!isStream) return client.models.generateContent(wish);
  const chunks = await drain(await client.models.generateContentStream(wish));
  const last = chunks.at(-1);
  last.candidates[0].content = { role: "model", parts: chunks.flatMap((chunk) => chunk.candidates[0].content?.parts ?? []) };
  return last;
}

function partsOf(answer) {
  return answer.candidates[0].content.parts;
}

function textOf(answer, isThought = false) {
  return partsOf(answer).filter((part) => part.text && Boolean(part.thought) === isThought).map((part) => part.text).join("");
}

function callsOf(answer) {
  return partsOf(answer).flatMap((part) => part.functionCall ?? []);
}

function responsesTo(calls) {
  const parts = calls.map(({ id, name }) => ({ functionResponse: { id, name, response: { output: ANSWERS[name] } } }));
  return { role: "user", parts };
}

function user(...parts) {
  return { role: "user", parts };
}

both("text", async (provider, isStream) => {
  const wish = { model: provider.model, contents: "Hi", config: { systemInstruction: "Be brief." } };
  const answer = await asked(isStream, wish);
  assert.equal(textOf(answer), GREETING);
  assert.equal(answer.candidates[0].finishReason, "STOP");
  assert.equal(answer.modelVersion, provider.model);
  checkUsage(answer.usageMetadata, provider);
});

each("both versions of the API", async (provider) => {
  for (const apiVersion of ["v1", "v1beta"]) {
    const answer = await connect(KEY, { apiVersion }).models.generateContent({ model: provider.model, contents: "Hi" });
    assert.equal(answer.text, GREETING);
  }
});

both("two rounds of parallel tools", async (provider, isStream) => {
  const contents = [user({ text: ASK })];
  for (const round of [1, 2]) {
    let answer = await asked(isStream, { model: provider.model, contents, config: { tools: TOOLS } });
    assert.equal(textOf(answer), CHECKING);
    const [weather, time] = callsOf(answer);
    assert.deepEqual([weather.name, weather.args], ["get_weather", CITY]);
    assert.deepEqual([time.name, time.args], ["get_time", {}]);
    contents.push(answer.candidates[0].content, responsesTo([weather, time]));
    answer = await asked(isStream, { model: provider.model, contents, config: { tools: TOOLS } });
    assert.equal(textOf(answer), RESULTS);
    const [calls, results] = await provider.pairs();
    assert.deepEqual(calls, results);
    assert.equal(calls.length, 2 * round);
    contents.push(answer.candidates[0].content, user({ text: "And now?" }));
  }
});

each("chat keeps its history", async (provider) => {
  const chat = client.chats.create({ model: provider.model });
  assert.equal((await chat.sendMessage({ message: "Hi" })).text, GREETING);
  const chunks = await drain(await chat.sendMessageStream({ message: "Hi" }));
  assert.equal(chunks.map((chunk) => chunk.text ?? "").join(""), GREETING);
  assert.equal((await chat.sendMessage({ message: "Hi" })).text, GREETING);
  assert.equal(JSON.stringify(await provider.last()).split('"Hi"').length, 4);
});

each("image and PDF", async (provider) => {
  for (const [mimeType, data] of [["image/png", PNG], ["application/pdf", PDF]]) {
    const contents = [user({ inlineData: { mimeType, data: data.toString("base64") } }, { text: "Look" })];
    assert.equal((await client.models.generateContent({ model: provider.model, contents })).text, got(mimeType, data));
  }
});

both("thinking and its state", async (provider, isStream) => {
  const wish = { model: provider.model, config: { tools: TOOLS, thinkingConfig: THINKING } };
  const contents = [user({ text: ASK })];
  for (const round of [1, 2]) {
    let answer = await asked(isStream, { contents, ...wish });
    assert.ok(textOf(answer, true).startsWith("Thought "));
    checkUsage(answer.usageMetadata, provider, true);
    contents.push(answer.candidates[0].content, responsesTo(callsOf(answer)));
    answer = await asked(isStream, { contents, ...wish });
    assert.equal(textOf(answer), RESULTS);
    // The provider refuses a state that it did not issue, so what arrived is what it said.
    if (provider.signs) assert.ok(new Set(await provider.states()).size >= round);
    contents.push(answer.candidates[0].content, user({ text: "And now?" }));
  }
});

each("thoughts are not shown unasked", async (provider) => {
  assert.equal(textOf(await asked(false, { model: provider.model, contents: "Hi" }), true), "");
});

both("structured output", async (provider, isStream) => {
  const config = { responseMimeType: "application/json", responseJsonSchema: z.toJSONSchema(Report) };
  const answer = await asked(isStream, { model: provider.model, contents: "Hi", config });
  assert.deepEqual(Report.parse(JSON.parse(textOf(answer))), REPORT);
});

for (const [kind, status, name] of [
  ["400", 400, "INVALID_ARGUMENT"],
  // The provider refused the gateway's key, not the client's.
  ["401", 502, "UNAVAILABLE"],
  ["404", 404, "NOT_FOUND"],
  ["429", 429, "RESOURCE_EXHAUSTED"],
  ["500", 500, "INTERNAL"],
]) {
  both(`refusal ${kind}`, async (provider, isStream) => {
    const error = await rejection(asked(isStream, { model: provider.fault(kind), contents: "Hi" }));
    assert.ok(error instanceof ApiError, String(error));
    assert.deepEqual([error.status, JSON.parse(error.message).error.status], [status, name]);
    assert.equal((await provider.received()).length, 1);
  });
}

for (const [kind, message] of [["stream", /ran into a wall/], ["cut", /in the middle of its answer/]]) {
  each(`${kind} raises the error that it ends with`, async (provider) => {
    let text = "";
    const error = await rejection((async () => {
      const stream = await client.models.generateContentStream({ model: provider.fault(kind), contents: "Hi" });
      for await (const chunk of stream) text += chunk.text ?? "";
    })());
    assert.ok(error instanceof ApiError, String(error));
    assert.match(error.message, message);
    assert.ok(text && text !== GREETING && GREETING.startsWith(text));
  });
}

each("cancel", async (provider) => {
  await provider.forget();
  const abort = new AbortController();
  const config = { abortSignal: abort.signal };
  const stream = await client.models.generateContentStream({ model: provider.fault("stall"), contents: "Hi", config });
  for await (const chunk of stream) if (chunk.text) break;
  abort.abort();
  await provider.untilDropped();
});

each("count", async (provider) => {
  const { totalTokens } = await client.models.countTokens({ model: provider.model, contents: "Hi" });
  // Chat has no such endpoint: the gateway estimates.
  if (provider.name === "chat") assert.ok(totalTokens > 0 && totalTokens < 100);
  else assert.equal(totalTokens, COUNT);
});

each("wrong key and unknown model", async (provider) => {
  const wrong = await rejection(connect("wrong").models.generateContent({ model: provider.model, contents: "Hi" }));
  assert.equal(wrong.status, 401, String(wrong));
  const unknown = await rejection(client.models.generateContent({ model: `${provider.model}x`, contents: "Hi" }));
  assert.equal(unknown.status, 404, String(unknown));
  assert.deepEqual(await provider.received(), []);
});

test("models", async () => {
  const listed = (await drain(await client.models.list())).map((model) => model.name);
  for (const name of FORMATS) assert.ok(listed.includes(`models/${name}-up`), String(listed));
  assert.equal((await client.models.get({ model: "gemini-up" })).name, "models/gemini-up");
  assert.equal((await rejection(client.models.get({ model: "nothing" }))).status, 404);
});
