"""Checks that the functional forward and decoding of ``model.py`` equal the Hugging Face ones.

    python check.py CHECKPOINT
"""
from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import augment
import evaluate
from model import Net, load, make_config, make_heads, make_model, rms_norm
from tessera_synth.prompts import EXTRACT, Chat

HERE = Path(__file__).resolve().parent


def main() -> None:
    tokenizer = Tokenizer.from_file(str(HERE / "tokenizer" / "tokenizer.json"))
    chat = Chat(tokenizer)
    model = make_model(make_config(chat, tokenizer.get_vocab_size()), "cpu").eval()
    heads = make_heads("cpu")
    load(model, heads, sys.argv[1], "cpu")
    net = Net(model, heads, "cpu")
    for sample in evaluate.from_folder(HERE / "holdout" / "data")[:2]:
        tiles = len(sample.tiles)
        x = augment.normalize(sample.tiles.float())
        prompt = chat.prompt(EXTRACT, tiles)
        ids = torch.tensor([prompt])
        with torch.no_grad():
            h = net.decode(net.embed(ids, net.vision(x, False)[1].reshape(1, tiles * 256, -1)), False)
            mine = F.linear(rms_norm(h, net.norm), net.vocabulary)
            theirs = model(input_ids=ids, pixel_values=x, attention_mask=torch.ones_like(ids)).logits
            out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=x, max_new_tokens=40, do_sample=False, eos_token_id=chat.end, pad_token_id=chat.pad)
        greedy = net.generate(x, [prompt], tiles, 40, chat.end)[0]
        print(sample.name, "largest logit difference", float((mine - theirs).abs().max()), "of", float(theirs.abs().max()), "| greedy equal:", greedy == out[0, len(prompt):].tolist()[:len(greedy)], "|", chat.decode(greedy)[:80])


if __name__ == "__main__":
    main()
