// The document: files that were dropped, pasted, chosen or taken from the samples.
import { byId, make } from "./dom.js";

/** The pages in their order, with thumbnails. */
export class Pages {
  #files: File[] = [];
  #urls: string[] = [];
  readonly #list = byId("pages", HTMLOListElement);
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
    const input = byId("files", HTMLInputElement);
    const drop = byId("drop", HTMLLabelElement);
    input.addEventListener("change", () => {
      this.add([...(input.files ?? [])]);
      // The same file may be chosen again after it was removed.
      input.value = "";
    });
    // Wherever a page is dropped, the browser must not leave for it.
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    document.addEventListener("dragleave", () => drop.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.add([...(event.dataTransfer?.files ?? [])]);
    });
    document.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      this.add(files);
    });
  }

  get files(): readonly File[] {
    return this.#files;
  }

  add(files: File[]): void {
    this.#files.push(...files);
    this.#draw();
  }

  /** Puts `files` in the place of what was there. */
  replace(files: File[]): void {
    this.#files = files;
    this.#draw();
  }

  #draw(): void {
    for (const url of this.#urls) URL.revokeObjectURL(url);
    this.#urls = [];
    this.#list.replaceChildren(...this.#files.map((file, index) => this.#item(file, index)));
    this.#changed();
  }

  #item(file: File, index: number): HTMLElement {
    const name = file.name || `pasted page ${index + 1}`;
    const remove = make("button", { type: "button", "aria-label": `Remove ${name}` }, "×");
    remove.addEventListener("click", () => {
      this.#files.splice(index, 1);
      this.#draw();
      byId("files", HTMLInputElement).focus();
    });
    return make("li", {}, this.#picture(file, name), make("span", { class: "name", title: name }, name), remove);
  }

  /** The page itself where the browser can show it. */
  #picture(file: File, name: string): HTMLElement {
    const label = () => make("span", { class: "file" }, name.split(".").pop()?.toUpperCase() ?? "FILE");
    if (!/^image\/(png|jpeg|webp)$/.test(file.type)) return label();
    const url = URL.createObjectURL(file);
    this.#urls.push(url);
    const image = make("img", { src: url, alt: name });
    image.addEventListener("error", () => image.replaceWith(label()));
    return image;
  }
}
