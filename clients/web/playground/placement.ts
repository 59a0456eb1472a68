// ModelInfo as a picture: devices, what fills their memory, and which module is where in which dtype.
import { type Device, type DeviceLink, Dtype, LinkRoute, type ModelStatus, type ModulePlacement } from "../src/proto.js";
import { bar, byId, bytesText, make, type Part } from "./dom.js";

export function drawPlacement(status: ModelStatus): void {
  const note = byId("placement-note", HTMLParagraphElement);
  const root = byId("devices", HTMLDivElement);
  if (status.placements.length === 0) {
    note.textContent = status.stateMessage || "Placement is not decided yet.";
    root.replaceChildren();
    return;
  }
  const tensors = status.verification?.tensors ?? 0;
  note.textContent =
    `${status.placements.length} modules on ${status.devices.length} ${status.devices.length === 1 ? "device" : "devices"}, ` +
    `KV cache in ${dtype(status.kvCacheDtype)} for ${status.kvCapacityTokens.toLocaleString("en")} tokens` +
    (tensors > 0 ? `; ${tensors} tensors found where they should be.` : ".");
  const cards = status.devices.map((device) => {
    return card(device, status.placements.filter((placement) => placement.deviceId === device.id));
  });
  if (status.links.length > 0) cards.push(links(status.links));
  root.replaceChildren(...cards);
}

function card(device: Device, placements: ModulePlacement[]): HTMLElement {
  const held = device.weightBytes + device.kvCacheBytes;
  const used = device.totalBytes - device.freeBytes;
  const part = (label: string, size: bigint, tone: Part["tone"]): Part => ({
    label, size: Math.max(0, Number(size)), shown: bytesText(size), tone,
  });
  const memory = bar(`Memory of ${device.id}`, [
    part("weights", device.weightBytes, 5),
    part("KV cache", device.kvCacheBytes, 3),
    part("other", used - held, 1),
    part("free", device.freeBytes, 6),
  ]);
  const modules = make("ol", { class: "modules", "aria-label": `Modules on ${device.id}` });
  modules.append(...placements.map(module));
  const capability = device.computeCapability ? `, compute capability ${device.computeCapability}` : "";
  return make(
    "article", { class: "device" },
    make("h3", {}, device.id),
    make("p", { class: "quiet" }, `${device.name}${capability}, ${bytesText(device.totalBytes)}`),
    ...memory, modules,
  );
}

function module(placement: ModulePlacement): HTMLElement {
  const stored = dtype(placement.weightDtype);
  const computed = dtype(placement.computeDtype);
  const dtypes = stored === computed ? stored : `${stored}, computes in ${computed}`;
  const item = make(
    "li", { class: `tone-${tone(placement.weightDtype)}` },
    make("span", {}, placement.module),
    make("span", { class: "quiet" }, `${dtypes}, ${bytesText(placement.weightBytes)}`),
  );
  if (placement.dtypeReason) item.append(make("span", { class: "why" }, placement.dtypeReason));
  return item;
}

function links(all: DeviceLink[]): HTMLElement {
  const list = make("ul", { class: "links", "aria-label": "Copies between devices" });
  for (const link of all) {
    const route = (LinkRoute[link.route] ?? "unknown").toLowerCase();
    const speed = link.bytesPerSecond > 0 ? `, ${bytesText(link.bytesPerSecond)}/s` : "";
    const why = link.reason ? `: ${link.reason}` : "";
    list.append(make("li", {}, `${link.fromDeviceId} → ${link.toDeviceId}: ${route}${speed}${why}`));
  }
  return list;
}

function dtype(value: Dtype): string {
  return (Dtype[value] ?? "unknown").toLowerCase();
}

function tone(value: Dtype): Part["tone"] {
  if (value === Dtype.F32) return 2;
  if (value === Dtype.BF16) return 5;
  return value === Dtype.F16 ? 3 : 4;
}
