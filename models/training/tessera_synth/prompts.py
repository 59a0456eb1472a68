"""Prompts, answers and chat token sequences."""
from __future__ import annotations

import json
import random

from tokenizers import Tokenizer

from .generate import Document
from .page import ABSENT, FIELDS, RECEIPT_FIELDS

IMAGE_TOKENS = 256
TYPE_WORDS = {"receipt": "receipt", "invoice": "invoice", "bank_statement": "bank statement"}

EXTRACT = "Extract the fields as JSON."
TRANSCRIBE = "Transcribe the text."
CLASSIFY = "What type of document is this? Answer receipt, invoice or bank_statement."

OTHER_EXTRACT = ["Extract the key information from this document as JSON.", "Extract all fields.", "Return the document data as JSON.", "Extract structured data from this document image.",
                 "Parse this document.", "Read this document and answer with a JSON object.", "Please extract the data.", "Describe this document.", "What is in this image?", "Extract the data of this document."]
OTHER_TRANSCRIBE = ["Read all the text in the image.", "Transcribe this document.", "What does the document say?", "OCR", "OCR this image.", "Read the text."]
OTHER_CLASSIFY = ["What type of document is this?", "Classify this document.", "Which kind of document is shown?", "Document type?", "What kind of business document is this? Answer with one of: INVOICE, RECEIPT, BANK_STATEMENT."]
SUBSET = ["Extract as JSON: ", "Extract these fields as JSON: ", "Return JSON with the fields ", "Fields: ", "Extract the following fields from this document as JSON:\n", "Extract the fields of this document as JSON: "]
SINGLE = ["What is the {}?", "{}?", "Read the {}.", "Find {}."]
SYSTEMS = ["You are a helpful assistant.", "You extract data from business documents.", "You are a document reading assistant. Answer with JSON only.",
           "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.", "Reply briefly."]
UNIVERSAL = RECEIPT_FIELDS[:7] + ["STATEMENT_DATE_RANGE"] + RECEIPT_FIELDS[7:] + ["TRANSACTION_DATES", "TRANSACTION_AMOUNTS_PAID", "TRANSACTION_AMOUNTS_RECEIVED", "ACCOUNT_BALANCE"]
STATEMENT_ALIAS = ["DOCUMENT_TYPE", "STATEMENT_DATE_RANGE", "LINE_ITEM_DESCRIPTIONS", "TRANSACTION_DATES", "TRANSACTION_AMOUNTS_PAID", "TRANSACTION_AMOUNTS_RECEIVED", "ACCOUNT_BALANCE"]


def typed_prompt(kind: str, names: list[str] | None = None) -> str:
    """The canonical prompt for a document whose type is known."""
    return f"Extract the fields of this {TYPE_WORDS[kind]} as JSON: {', '.join(names or FIELDS[kind])}. Write NOT_FOUND for what is absent."


def dumps(fields: dict[str, str]) -> str:
    """JSON as the model writes it."""
    return json.dumps(fields, ensure_ascii=False)


def transcript(doc: Document) -> str:
    """The page's text, line by line."""
    return "\n".join(doc.lines)


def lookup(doc: Document, name: str) -> str:
    """A field's value; a statement's line items are its transactions."""
    if doc.kind == "bank_statement" and name == "LINE_ITEM_DESCRIPTIONS":
        name = "TRANSACTION_DESCRIPTIONS"
    return (doc.fields or {}).get(name, ABSENT)


def build(rng: random.Random, doc: Document, transcribe: float) -> tuple[str, str]:
    """A random (prompt, answer) pair for the document; ``transcribe`` is the share of transcriptions."""
    if doc.fields is None or rng.random() < transcribe:
        if len(doc.lines) > 1 and rng.random() < 0.06:
            i = rng.randrange(len(doc.lines))
            return f"Transcribe line {i + 1}.", doc.lines[i]
        return TRANSCRIBE if rng.random() < 0.8 else rng.choice(OTHER_TRANSCRIBE), transcript(doc)
    fields = doc.fields
    k = rng.random()
    if k < 0.30:
        return EXTRACT if rng.random() < 0.85 else rng.choice(OTHER_EXTRACT), dumps(fields)
    if k < 0.64:
        return typed_prompt(doc.kind), dumps(fields)
    if k < 0.68:                                              # another type's list, the universal list, the alias list
        names = rng.choice((UNIVERSAL, STATEMENT_ALIAS)) if doc.kind == "bank_statement" else rng.choice((UNIVERSAL, FIELDS["invoice"], STATEMENT_ALIAS))
        asked = doc.kind if rng.random() < 0.5 else rng.choice(list(TYPE_WORDS))
        prompt = typed_prompt(asked, names) if rng.random() < 0.5 else rng.choice(SUBSET[:4]) + ", ".join(names)
        return prompt, dumps({n: lookup(doc, n) for n in names})
    if k < 0.90:
        names = list(fields)
        present = [n for n in names if fields[n] != ABSENT]
        absent = [n for n in names if fields[n] == ABSENT]
        m = min(rng.choice((1, 2, 3, 3, 4, 5, 6, 8)), len(names))
        chosen = rng.sample(present, min(len(present), max(1, m - (m > 2 and bool(absent)))))
        chosen += rng.sample(absent, min(len(absent), m - len(chosen)))
        if rng.random() < 0.7:
            chosen.sort(key=names.index)
        else:
            rng.shuffle(chosen)
        if rng.random() < 0.3:
            prompt = typed_prompt(doc.kind, chosen)
        else:
            prompt = rng.choice(SUBSET)
            joiner = "\n" if prompt.endswith("\n") else ", "
            prompt += joiner.join(chosen) + ("." if rng.random() < 0.3 and joiner == ", " else "")
        return prompt, dumps({n: fields[n] for n in chosen})
    if k < 0.95:
        present = [n for n in fields if fields[n] != ABSENT]
        name = rng.choice(present if rng.random() < 0.9 else list(fields))
        return rng.choice(SINGLE).format(name), fields[name]
    return CLASSIFY if rng.random() < 0.5 else rng.choice(OTHER_CLASSIFY), fields["DOCUMENT_TYPE"]


class Chat:
    """``<|im_start|>user\\n<img><IMG_CONTEXT>*n</img>\\n{prompt}<|im_end|>\\n<|im_start|>assistant\\n{answer}<|im_end|>``"""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        names = ("<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<|endoftext|>")
        self.start, self.end, self.img, self.img_end, self.context, self.pad = (tokenizer.token_to_id(n) for n in names)
        self.user, self.assistant, self.system, self.newline = (self.encode(t) for t in ("user\n", "assistant\n", "system\n", "\n"))

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        """Text of token ids."""
        return self.tokenizer.decode(ids, skip_special_tokens=False)

    def prompt(self, text: str, tiles: int, system: str | None = None) -> list[int]:
        """Prompt ids up to where the answer starts."""
        ids: list[int] = []
        if system:
            ids += [self.start] + self.system + self.encode(system) + [self.end] + self.newline
        ids += [self.start] + self.user + [self.img] + [self.context] * (IMAGE_TOKENS * tiles) + [self.img_end] + self.newline
        return ids + self.encode(text) + [self.end] + self.newline + [self.start] + self.assistant

    def full(self, text: str, answer: str, tiles: int, system: str | None = None) -> tuple[list[int], list[int]]:
        """Prompt ids and answer ids with the end mark."""
        return self.prompt(text, tiles, system), self.encode(answer) + [self.end]
