import { createHmac, timingSafeEqual } from "node:crypto";

export function isOurs(secret: string, header: string, body: Buffer): boolean {
  const parts = header.split(",").map((part) => part.split("=", 2));
  const at = parts.find(([name]) => name === "t")?.[1] ?? "";
  const signed = Buffer.from(createHmac("sha256", secret).update(`${at}.`).update(body).digest("hex"));
  const fits = (value: string) => value.length === signed.length && timingSafeEqual(signed, Buffer.from(value));
  const isRecent = Math.abs(Date.now() / 1000 - Number(at)) < 300;
  return isRecent && parts.some(([name, value]) => name === "v1" && fits(value));
}
