// A line of the log, taken apart for filters and colours. What has another shape is shown as it is.

export interface LogLine {
  text: string;
  time?: string;
  id?: string;
  level?: "error" | "warn" | "info" | "debug";
  source?: string;
  message: string;
  status?: number;
}

const SHAPE = /^\[([^\]]+)\] \[([^\]]+)\] \[(\w+) *\] (?:\[([^\]]+)\] )?(.*)$/;

const LEVELS: Record<string, LogLine["level"]> = {
  error: "error",
  fatal: "error",
  panic: "error",
  warn: "warn",
  warning: "warn",
  info: "info",
  debug: "debug",
  trace: "debug",
};

export function logLine(text: string): LogLine {
  const found = SHAPE.exec(text);
  if (!found) return { text, message: text };
  const [, time = "", id = "", level = "", source, message = ""] = found;
  const line: LogLine = { text, time, message };
  const known = LEVELS[level.toLowerCase()];
  if (known) line.level = known;
  if (/^[0-9a-f]{8}$/.test(id)) line.id = id;
  if (source) line.source = source;
  const status = /^ *(\d{3}) \|/.exec(message);
  if (status) line.status = Number(status[1]);
  return line;
}

/** Whether a line has this level or a worse one; lines without one go with everything. */
export function isAtLeast(line: LogLine, level: NonNullable<LogLine["level"]>): boolean {
  const order = ["debug", "info", "warn", "error"];
  return line.level === undefined || order.indexOf(line.level) >= order.indexOf(level);
}
