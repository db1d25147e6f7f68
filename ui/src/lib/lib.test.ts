import { expect, test } from "vitest";
import { ApiError } from "../api/client";
import { stateOf, wakes, why } from "../pages/accounts/state";
import { changes } from "../pages/keys/change";
import { explain, failedLogin } from "../parts/toast";
import { csv } from "./csv";
import { isBare, limitsOf, rowsOf } from "./limits";
import { after, isRunning, type LiveRequest } from "./live";
import { isAtLeast, logLine } from "./logline";
import { headersOf, modelLines, modelsOf } from "./pairs";
import { fromText, line, span, told, unready } from "./problems";
import { rangeOf } from "./range";
import { hashOf, placeOf } from "./route";
import { language } from "./settings";
import { EventParser } from "./sse";
import { heights, marks } from "./stack";

test("events do not depend on how the bytes arrive", () => {
  const text =
    ': keep-alive\n\nevent: start\ndata: {"id":"a"}\n\r\ndata: one\r\ndata: two\r\n\r\nevent: none\n\n';
  const whole = new EventParser().push(text);
  expect(whole).toEqual([
    { event: "start", data: '{"id":"a"}' },
    { event: "message", data: "one\ntwo" },
  ]);
  for (let size = 1; size < 9; size += 1) {
    const parser = new EventParser();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...parser.push(text.slice(at, at + size)));
    expect(found, `pieces of ${size}`).toEqual(whole);
  }
});

test("a live request is made of its events", () => {
  let list: LiveRequest[] = [];
  const event = (name: string, data: Record<string, unknown>) => {
    list = after(list, name, { id: "a", ...data }, 5_000);
  };
  event("start", { at_ms: 1_000, format: "claude", model: "m", is_stream: true });
  event("attempt", { number: 1, provider: "claude", credential: "x.json" });
  event("attempt", { number: 2, provider: "claude", credential: "y.json" });
  expect(list).toMatchObject([
    { state: "waiting", at: 1_000, attempts: 2, credential: "y.json", isStream: true },
  ]);
  event("stream", { first_byte_ms: 30 });
  event("progress", { elapsed_ms: 60, output: 7, bytes: 99 });
  expect(list).toMatchObject([{ state: "streaming", output: 7, elapsed: 60 }]);
  event("end", { outcome: "complete", total_ms: 90, output: 9, attempts: 2, cost: 0.5 });
  expect(list).toMatchObject([{ state: "complete", output: 9, elapsed: 90, cost: 0.5 }]);
});

test("a request whose beginning nobody saw appears with its end, and old ones go", () => {
  let list = after([], "end", { id: "a", outcome: "failed", total_ms: 400 }, 1_000);
  expect(list).toMatchObject([{ state: "failed", at: 600 }]);
  list = after(list, "start", { id: "runs", model: "m" }, 2_000);
  for (let n = 0; n < 300; n += 1) list = after(list, "end", { id: `e${n}`, outcome: "complete" }, 3_000);
  expect(list.length).toBe(201);
  expect(list.filter(isRunning).map((request) => request.id)).toEqual(["runs"]);
});

test("problems are read from the lines that people get, and found in the text", () => {
  expect(fromText("/etc/config.yaml:3:7: routing.strategy: unknown\nno place")).toEqual([
    { line: 3, column: 7, path: "routing.strategy", message: "unknown" },
    { path: "", message: "no place" },
  ]);
  const text = "a: 1\n# 😀 b\nport: abc # x\n";
  const place = (line: number, column: number) => {
    const { from, to } = span({ line, column, path: "", message: "" }, text);
    return text.slice(from, to);
  };
  expect(place(3, 7)).toBe("abc");
  expect(place(2, 5)).toBe("b");
  expect(place(9, 9)).toBe("");
});

test("problems are told in the language of the reader, with their values", () => {
  const problem = {
    path: "prot",
    code: "unknown_key",
    values: { near: "port" },
    message: "unknown key, ignored",
    suggestion: "did you mean `port`?",
  };
  language.value = "zh";
  expect(told(problem)).toBe("未知的键，已忽略；您是否想写 `port`？");
  expect(line(problem)).toBe("prot: 未知的键，已忽略；您是否想写 `port`？");
  expect(told({ path: "prot", code: "unknown_key", message: "unknown key, ignored" })).toBe(
    "未知的键，已忽略",
  );
  const typed = { path: "port", code: "wrong_type", values: { wanted: "a whole number", found: "a list" } };
  expect(told({ ...typed, message: "expected a whole number, found a list" })).toBe("应为整数，实际为列表");
  expect(told({ ...problem, code: "newer" })).toBe("unknown key, ignored; did you mean `port`?");
  language.value = "en";
  expect(told(problem)).toBe("unknown key, ignored; did you mean `port`?");
  expect(line({ path: "", message: "no code" })).toBe("no code");
  expect(line({ path: "tls.enable", message: "no code" })).toBe("tls.enable: no code");
});

test("why an account does not serve is told in the language of the reader, and others are quoted", () => {
  const facts = {
    status_message: "Google answered 400: gone; log in again: cli-proxy-api --login; not known here",
    status_code: "needs-attention",
    status_reasons: [
      {
        code: "answered",
        values: { who: "Google", status: "400", said: ": gone" },
        message: "Google answered 400: gone",
      },
      {
        code: "log_in",
        values: { command: "cli-proxy-api --login" },
        message: "log in again: cli-proxy-api --login",
      },
      { code: "newer", message: "not known here" },
    ],
  };
  language.value = "zh";
  expect(why(facts)).toBe("Google 返回 400: gone；请重新登录：cli-proxy-api --login；not known here");
  expect(why({ status_code: "quota", status_message: "quota used up" })).toBe("配额暂时用尽");
  language.value = "en";
  expect(why(facts)).toBe(facts.status_message);
});

test("why the gateway is not ready is told in the language of the reader", () => {
  language.value = "zh";
  expect(unready("restart to apply: port, host")).toBe("需要重启：port, host");
  expect(unready("the changed configuration is not valid and was not applied: x\ny")).toMatch(
    /^配置文件已修改/,
  );
  expect(unready("no model is configured: add a key to config.yaml, or start with --demo")).toMatch(/^没有/);
  language.value = "en";
  expect(unready("something newer")).toBe("something newer");
});

test("a login that failed is told in the language of the reader, with the gateway's own sentence", () => {
  language.value = "zh";
  expect(explain(new ApiError(500, "port 1 is in use", "", [], "port_busy"))).toMatch(
    /^浏览器.* port 1 is in use$/,
  );
  expect(failedLogin("newer", "why")).toBe("why");
  expect(failedLogin("", "why")).toBe("why");
  language.value = "en";
  expect(failedLogin("refused", "why")).toBe("The login was refused. why");
});

test("log lines are taken apart, and strange ones shown as they are", () => {
  const line = logLine(
    '[2026-11-29 00:12:33] [1a2b3c4d] [warn ] [access] 429 |  1.2s | ::1 | POST "/v1/messages"',
  );
  expect(line).toMatchObject({ id: "1a2b3c4d", level: "warn", source: "access", status: 429 });
  expect(logLine("[2026-11-29 00:12:33] [--------] [info ] up").id).toBeUndefined();
  expect(logLine("free text")).toEqual({ text: "free text", message: "free text" });
  expect([isAtLeast(line, "info"), isAtLeast(line, "error"), isAtLeast(logLine("x"), "error")]).toEqual([
    true,
    false,
    true,
  ]);
});

test("lists of a form keep what the form does not show", () => {
  const before = [
    { name: "up", alias: "mine", thinking: { min: 1 } },
    { name: "plain", alias: "plain" },
  ];
  expect(modelLines(before)).toBe("up = mine\nplain");
  expect(modelsOf("up = mine\nnew\n plain ", before)).toEqual([
    before[0],
    { name: "new", alias: "new" },
    before[1],
  ]);
  expect(headersOf("X-Team: a: b\n\nbare")).toEqual({ "X-Team": "a: b", bare: "" });
});

test("an edited key sends what changed and nothing else", () => {
  const entry = { "api-key": "k", priority: 3, headers: { A: "1" }, cloak: true };
  const texts = {
    name: "",
    key: "k",
    keys: "",
    base: " https://x ",
    proxy: "",
    prefix: "",
    priority: "",
    weight: "",
    headers: "A: 1",
    models: "",
    excluded: "*-preview",
  };
  expect(changes(entry, texts)).toEqual({
    "base-url": "https://x",
    priority: 0,
    "excluded-models": ["*-preview"],
  });
});

test("limits are read from their fields, and wrong numbers are told", () => {
  const limits = [{ per: "day" as const, requests: 5, cost: 0.5 }];
  expect(limitsOf(rowsOf(limits))).toEqual(limits);
  expect(limitsOf([{ per: "day", requests: "1.5", tokens: "", cost: "" }])).toBeNull();
  expect(limitsOf([{ per: "day", requests: "", tokens: "", cost: "" }])).toEqual([]);
  expect([isBare({ "api-key": "k", models: [] }), isBare({ "api-key": "k", name: "n" })]).toEqual([
    true,
    false,
  ]);
});

test("tables are safe to open", () => {
  expect(
    csv(
      ["a", "b"],
      [
        ["=1+1", 2],
        ['say "x"', 0.5],
      ],
    ),
  ).toBe('a,b\r\n\'=1+1,2\r\n"say ""x""",0.5\r\n');
});

test("spans end with the step of the moment and begin at round times of this place", () => {
  const now = new Date(2026, 10, 29, 14, 35, 10).getTime();
  const { from, until, step } = rangeOf("24h", now);
  expect([until, (until - from) / step]).toEqual([new Date(2026, 10, 29, 15).getTime() / 1000, 24]);
  expect(rangeOf("30d", now).until).toBe(new Date(2026, 10, 30).getTime() / 1000);
});

test("columns stand on each other under a round end of the axis", () => {
  expect(
    heights([
      [1, 2],
      [3, 0],
      [0, 5],
    ]),
  ).toEqual([
    [1, 2],
    [4, 2],
    [4, 7],
  ]);
  expect([0, 0.7, 48, 99, 1_400].map(marks)).toEqual([1, 0.8, 50, 150, 1_500]);
});

test("a place is a hash and back, and an unknown one is the first page", () => {
  expect(placeOf(hashOf("route", { model: "a/b c" })).values.get("model")).toBe("a/b c");
  expect([placeOf("").page, placeOf("#/nowhere").page, placeOf("#/logs").page]).toEqual([
    "overview",
    "overview",
    "logs",
  ]);
});

test("a rest ends by itself and an error wants a person", () => {
  const facts = { disabled: false, status: "error" };
  const resting = { ...facts, next_retry_after: "2026-11-29T10:00:00Z" };
  expect([facts, resting, { ...facts, disabled: true }, { ...facts, status: "active" }].map(stateOf)).toEqual(
    ["error", "resting", "off", "ready"],
  );
  const at = Date.parse(resting.next_retry_after) / 1000;
  expect([wakes(resting, at - 5), wakes(resting, at + 5), wakes(facts, 0)]).toEqual([
    at,
    undefined,
    undefined,
  ]);
});
