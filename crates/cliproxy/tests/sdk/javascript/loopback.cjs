// Loaded before a program that must reach nothing but this machine. Connections to other hosts fail, and their names go
// into the file that ELSEWHERE names.
"use strict";
const net = require("node:net");
const fs = require("node:fs");

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const options = Array.isArray(given[0]) ? given[0][0] : given[0];
  const isNamed = options !== null && typeof options === "object";
  const host = isNamed ? (options.host ?? (options.path ? undefined : "localhost")) : given[1];
  if (host === undefined || ["127.0.0.1", "::1", "localhost"].includes(host)) {
    return connect.apply(this, given);
  }
  fs.appendFileSync(process.env.ELSEWHERE, `${host}\n`);
  const refused = Object.assign(new Error(`${host} is not this machine`), { code: "ECONNREFUSED" });
  process.nextTick(() => this.destroy(refused));
  return this;
};
