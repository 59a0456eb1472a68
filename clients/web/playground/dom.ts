// The page's elements, found and made. Text goes in as text only: no markup is ever parsed.

/** The element with this id, which index.html has. */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`);
  return found;
}

/** A new element with attributes and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Record<string, string | boolean> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** One part of a bar. */
export interface Part {
  label: string;
  /** In any unit; the parts share the bar. */
  size: number;
  shown: string;
  tone: 1 | 2 | 3 | 4 | 5 | 6;
}

/** A bar of parts, told as text to who cannot see it, and its legend. */
export function bar(title: string, parts: Part[]): [HTMLElement, HTMLElement] {
  const some = parts.filter((part) => part.size > 0);
  // Shares that add up to less than 1 would leave a part of the bar empty.
  const sum = some.reduce((all, { size }) => all + size, 0);
  const told = some.map((part) => `${part.label} ${part.shown}`).join(", ");
  const element = make("div", { class: "bar", role: "img", "aria-label": `${title}: ${told}` });
  for (const part of some) {
    const span = make("span", { class: `tone-${part.tone}`, title: `${part.label}: ${part.shown}` });
    // A style attribute would be against the page's own policy; this is not one.
    span.style.flexGrow = String(part.size / sum);
    element.append(span);
  }
  const legend = make("ul", { class: "legend", "aria-hidden": "true" });
  for (const part of some) {
    legend.append(make("li", { class: `tone-${part.tone}` }, `${part.label} ${part.shown}`));
  }
  return [element, legend];
}

export function bytesText(bytes: bigint | number): string {
  let size = Number(bytes);
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (size < 1024) return `${size < 10 && unit !== "B" ? size.toFixed(1) : Math.round(size)} ${unit}`;
    size /= 1024;
  }
  return `${size.toFixed(1)} TiB`;
}
