// A failure for people: what happened, which field, and what to do.
import type { TesseraError } from "../src/index.js";
import { byId, make } from "./dom.js";

const ADVICE: Record<string, string> = {
  QUEUE_FULL: "Many documents are waiting. Try again a little later.",
  MODEL_LOADING: "The model is still being loaded. It answers once the state above says ready.",
  DRAINING: "This server is shutting down.",
  DRAIN_TIMEOUT: "The server was shut down while it read this document. Read it again.",
  DEADLINE: "The deadline passed. Give it more seconds in the options, or send fewer pages.",
  SLOW_CLIENT: "This page took nothing for too long. Keep it in front while it reads.",
  MODEL_POISONED: "The model spoilt several answers in a row and has to be restarted by its operator.",
  MODEL_FAILED: "The model could not be loaded. The server's log says why.",
  NON_FINITE_LOGITS: "The model's numbers overflowed. No answer is better than a wrong one.",
  GIBBERISH: "The model wrote nothing that could be read.",
  REPETITION: "The model repeated itself without end.",
};

export function showFailure(error: TesseraError, again: () => void): void {
  const box = byId("failure", HTMLDivElement);
  const reason = error.reason ? `${error.code}, ${error.reason}` : error.code;
  box.replaceChildren(make("strong", {}, reason));
  // The message of a bad request is its violations, joined.
  if (error.violations.length === 0) box.append(make("p", {}, error.message || "The server gave no message."));
  if (error.violations.length > 0) {
    const list = make("ul");
    for (const violation of error.violations) {
      list.append(make("li", {}, make("code", {}, violation.field), `: ${violation.description}`));
    }
    box.append(list);
  }
  const advice = ADVICE[error.reason] ?? transportAdvice(error);
  if (advice) box.append(make("p", {}, advice));
  if (error.code !== "INVALID_ARGUMENT") {
    const button = make("button", { type: "button" }, "Try again");
    button.addEventListener("click", again);
    box.append(button);
  }
  box.hidden = false;
}

function transportAdvice(error: TesseraError): string {
  if (error.code === "UNAUTHENTICATED") return "Give a token or an API key in the options.";
  if (error.code === "UNKNOWN" || error.code === "UNAVAILABLE") return "The server cannot be reached from this page.";
  return "";
}

export function hideFailure(): void {
  byId("failure", HTMLDivElement).hidden = true;
}
