// src/broker.ts
function webSocketPort(answer, tls) {
  const listeners = answer?.listeners;
  if (!Array.isArray(listeners))
    return void 0;
  const fitting = listeners.filter((one) => one?.protocol === "websockets" && typeof one.port === "number");
  const found = fitting.find((one) => Boolean(one.tls) === tls) ?? (tls ? void 0 : fitting[0]);
  return found?.port;
}
async function brokerUrl() {
  const configured = document.querySelector('meta[name="broker"]')?.content ?? "auto";
  if (/^wss?:\/\//.test(configured))
    return configured;
  const tls = location.protocol === "https:";
  const scheme = tls ? "wss" : "ws";
  try {
    const head = await fetch(location.href, { method: "GET", cache: "no-store" });
    if (head.headers.get("server") !== "mosquitto") {
      const answer = await fetch("/api/v1/listeners", { cache: "no-store" });
      const port = answer.ok ? webSocketPort(await answer.json(), tls) : void 0;
      if (port !== void 0)
        return `${scheme}://${location.hostname}:${port}/mqtt`;
    }
  } catch {
  }
  return `${scheme}://${location.host}/mqtt`;
}
function confine(url) {
  const policy = document.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = `connect-src 'self' ${new URL(url).origin.replace(/^null$/, url)}`;
  document.head.append(policy);
}
export {
  brokerUrl,
  confine,
  webSocketPort
};
