// Reads JSON-RPC messages as Node's JSON.parse does. The lines are those of python.py; numbers are printed as doubles.

import { createInterface } from "node:readline";

const hex = (text) => Buffer.from(text, "utf8").toString("hex");

function canonical(value) {
  if (value === undefined) return "-";
  if (value === null) return "z";
  if (value === true) return "t";
  if (value === false) return "f";
  if (typeof value === "number") {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return "#" + bytes.toString("hex");
  }
  if (typeof value === "string") return '"' + hex(value);
  if (Array.isArray(value)) return "[" + value.map(canonical).join(",") + "]";
  const members = Object.keys(value).map((key) => [hex(key), value[key]]);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return "{" + members.map(([key, member]) => key + ":" + canonical(member)).join(",") + "}";
}

const own = (value, key) =>
  value !== null && typeof value === "object" && Object.hasOwn(value, key) ? value[key] : undefined;

function answer(line) {
  const [body, index, members] = line.split("\t");
  let message;
  try {
    message = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(body, "hex")));
  } catch (error) {
    return "unreadable: " + String(error).replaceAll("\n", " ");
  }
  if (index !== "-") message = message[Number(index)];
  const params = own(message, "params");
  const names = members === "" ? [] : members.split(",");
  const parts = [own(message, "id"), own(message, "method"), ...names.map((name) => own(params, name))];
  return parts.map(canonical).join(";");
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  process.stdout.write(answer(line) + "\n");
}
