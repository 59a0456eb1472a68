"""Trains the byte-level BPE tokenizer (Qwen2 pre-tokenisation, digits one by one) on generated text.

    python train_tokenizer.py OUT [documents]

``tokenizer/`` holds the tokenizer the checkpoint uses. It was trained on the text of an earlier generator and kept, so
that training could go on from earlier weights; a new one needs training from scratch.
"""
from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tessera_synth import fonts, prompts
from tessera_synth.generate import make_document

HERE = Path(__file__).resolve().parent
VOCABULARY = 1024
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"]
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def corpus(documents: int) -> Iterator[str]:
    """Transcripts, answers and prompts."""
    rng = random.Random(11)
    families = fonts.load("train")
    for i in range(documents):
        doc = make_document(rng, families)
        yield prompts.transcript(doc)
        yield from prompts.build(rng, doc, 0.3)
        if i % 20 == 0:
            yield "system\n" + rng.choice(prompts.SYSTEMS) + "\nuser\nassistant\n"


def main() -> None:
    out, documents = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 6000
    tokenizer = Tokenizer(models.BPE(unk_token=None, fuse_unk=False, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False, trim_offsets=False)])
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, use_regex=False, trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - len(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[], show_progress=False, min_frequency=2)
    tokenizer.train_from_iterator(corpus(documents), trainer)
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    ids = {s: tokenizer.token_to_id(s) for s in SPECIAL}
    config = json.loads((HERE / "tokenizer" / "tokenizer_config.json").read_text())
    config["added_tokens_decoder"] = {str(v): dict(content=k, lstrip=False, normalized=False, rstrip=False, single_word=False, special=True) for k, v in ids.items()}
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    for name in ("special_tokens_map.json", "chat_template.jinja"):
        if (HERE / "tokenizer" / name).resolve() != (out / name).resolve():
            shutil.copy(HERE / "tokenizer" / name, out / name)
    assert tokenizer.token_to_id("!") == 0
    print(tokenizer.get_vocab_size(), ids)


if __name__ == "__main__":
    main()
