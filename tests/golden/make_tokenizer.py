"""Makes tests/golden/tokenizer: a small Qwen2-style byte-level BPE in its two file forms, with expected results.

    python tests/golden/make_tokenizer.py

Versions and the format of the files: README.md. Training data is the text below, so a rerun gives the same files.
"""

import json
import pathlib
import shutil

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, GotOcr2ImageProcessorPil, InternVLProcessor
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from formula import picture

HERE = pathlib.Path(__file__).parent
MERGES = 313  # with 256 bytes and 31 added tokens: 600 ids
TOKENS_PER_TILE = 4

# In the order of the real checkpoints, where the first has id 151643. The flag is `special`.
ADDED_TOKENS = (
    [(t, True) for t in "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|>".split()]
    + [(t, True) for t in "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>".split()]
    + [(t, False) for t in "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|>".split()]
    + [(t, True) for t in "<img> </img> <IMG_CONTEXT> <quad> </quad> <ref> </ref> <box> </box>".split()]
)

CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif content['type'] == 'video' %}{{ '<video>\n' }}"
    "{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{'<|im_end|>\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}"
)
# Repositories converted early render an image as `<image>`.
CHAT_TEMPLATE_EARLY = CHAT_TEMPLATE.replace("<IMG_CONTEXT>", "<image>")

# The system message that the checkpoints were trained with; it must match byte for byte.
DEFAULT_SYSTEM = "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"

TRAINING_TEXT = [
    "Extract ALL data from this invoice in the exact format below. Replace NOT_FOUND with the actual value.",
    "DOCUMENT_TYPE: INVOICE\nBUSINESS_ABN: NOT_FOUND\nSUPPLIER_NAME: NOT_FOUND\nINVOICE_DATE: NOT_FOUND\nTOTAL_AMOUNT: NOT_FOUND",
    "What type of business document is this? Answer with one of: INVOICE, RECEIPT, BANK_STATEMENT.",
    "The supplier is at the top, the customer is under \"Bill To\", and the dates are in the form DD/MM/YYYY.",
    "Opening balance $1,204.50; closing balance $987.65; the transactions are joined by \" | \".",
    "You're looking at the receipt that we've received; it's theirs, and they'll say that I'd paid.",
    "def total(items):\n    return sum(item.price for item in items)\n\n\nprint(total(items))\n",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. Où est la bibliothèque? ¿Dónde está?",
    "请从这张发票中提取所有数据。日期的格式是日/月/年。这是什么类型的商业文件？",
    DEFAULT_SYSTEM,
]

TEXTS = [
    "", " ", "  ", "   leading", "trailing   ", "a", "Hello", "Hello, world!", "hello world hello",
    "The supplier is at the top.", "it's we're they'll I'd I'm you've", "IT'S WE'RE", "don’t",
    "1", "12", "123456789", "$1,204.50", "16/07/2025", "06 082 698 025", "3.14e-10", "x1y2z3", "½ ² ③ ٣",
    "\n", "\n\n", "\n\n\n\n", "a\nb", "a\n\nb", "a \n b", "line\r\nline\r\n", "\t\ttabs\t", " \n \n ", "a  b   c    d",
    "    return sum(item.price)", "foo_bar-baz/qux.rs", "!!!!", "...!?", "((a+b)*c)", "key: value | other", "#$%&@",
    "DOCUMENT_TYPE: INVOICE\nTOTAL_AMOUNT: NOT_FOUND\n",
    "café", "cafe\u0301", "A\u030a \u212b \u00c5", "ﬁ ligature", "\u1e9b\u0323", "가각 \u1100\u1161",
    "请从这张发票中提取所有数据。", "日期：2025年7月16日", "中文English混合123", DEFAULT_SYSTEM, "Привет, мир", "مرحبا بالعالم", "नमस्ते", "ไทย",
    "😀", "👩‍👩‍👧‍👦", "🇦🇺 flag", "👍🏽 ok", "e\u0301\u0302", "zero\u200bwidth", "nbsp\u00a0here", "\u3000wide space", "\ufeffbom",
    "<|im_start|>user\nHello<|im_end|>\n", "<|endoftext|>", "a<|im_end|>b", " <|im_end|> ", "<|im_end|>\n\n", "<|im_END|>", "<|im_end",
    "<img><IMG_CONTEXT><IMG_CONTEXT></img>\n", "<image>\nWhat is this?", "<tool_call>{}</tool_call>", "<ref>box</ref><box>[[1, 2]]</box>", "<IMG_CONTEXT", "x<img>y</img>z",
]


def train():
    """The vocabulary and merges, as lists in id order."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = text_splitting()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=256 + MERGES, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TRAINING_TEXT, trainer)
    return [tuple(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]]


def text_splitting():
    split = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated", invert=False)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return normalizers.NFC(), pre_tokenizers.Sequence([split, byte_level])


def byte_alphabet():
    """The 256 byte symbols in the order of the Qwen2 and GPT-2 vocabularies: `!` is id 0."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]


def build(merges):
    vocab = {symbol: i for i, symbol in enumerate(byte_alphabet() + [a + b for a, b in merges])}
    assert len(vocab) == 256 + len(merges)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, fuse_unk=False, byte_fallback=False))
    tokenizer.normalizer, tokenizer.pre_tokenizer = text_splitting()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(t, special=special, normalized=False) for t, special in ADDED_TOKENS])
    return tokenizer


def tokenizer_config(tokenizer, extra):
    decoder = {
        str(tokenizer.token_to_id(t)): {"content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": special}
        for t, special in ADDED_TOKENS
    }
    return {
        "add_bos_token": False, "add_prefix_space": False, "added_tokens_decoder": decoder,
        "additional_special_tokens": [t for t, special in ADDED_TOKENS[1:] if special],
        "bos_token": None, "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>", "errors": "replace",
        "model_max_length": 8192, "pad_token": "<|endoftext|>", "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer", "unk_token": None, **extra,
    }


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_fast(directory, merges):
    """The form of the `-hf` repositories: tokenizer.json, and the chat template in its own file."""
    tokenizer = build(merges)
    (directory / "tokenizer.json").write_text(tokenizer.to_str(pretty=False) + "\n")
    (directory / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    names = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"}
    write_json(directory / "tokenizer_config.json", tokenizer_config(tokenizer, {"extra_special_tokens": names, **names}))


def write_slow(directory, merges):
    """The form of the original repositories: vocab.json and merges.txt, without tokenizer.json."""
    tokenizer = build(merges)
    vocab = {t: i for t, i in sorted(tokenizer.get_vocab(with_added_tokens=False).items(), key=lambda x: x[1])}
    (directory / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False) + "\n")
    (directory / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    write_json(directory / "added_tokens.json", {t: tokenizer.token_to_id(t) for t, _ in ADDED_TOKENS})
    write_json(directory / "special_tokens_map.json", {
        "additional_special_tokens": [t for t, special in ADDED_TOKENS[1:] if special], "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
    })
    write_json(directory / "tokenizer_config.json", tokenizer_config(tokenizer, {}))


def expand(prompt, placeholder, tiles):
    for count in tiles:
        prompt = prompt.replace(placeholder, f"<img>{'<IMG_CONTEXT>' * TOKENS_PER_TILE * count}</img>", 1)
    return prompt


def chat_prompt(question, tiles, system):
    """What the original `chat()` sends to the tokenizer with the template internvl2_5 and no history."""
    if tiles and "<image>" not in question:
        question = f"<image>\n{question}"
    system = DEFAULT_SYSTEM if system is None else system
    prompt = f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    return expand(prompt, "<image>", tiles)


def original_prompts(tokenizer):
    cases = [
        ("text only, default system", "What is 2 + 2?", [], None),
        ("text only, own system", "What is 2 + 2?", [], "You answer briefly."),
        ("empty system", "What is 2 + 2?", [], ""),
        ("one image", "<image>\nExtract the total.", [1], None),
        ("one image, several tiles", "<image>\nExtract the total.", [3], "You read documents."),
        ("no placeholder: it is put in front", "Extract the total.", [1], None),
        ("placeholder in the middle", "Look at <image> and say what it is.", [1], None),
        ("two images", "Image-1: <image>\nImage-2: <image>\nCompare the two images.", [1, 3], None),
        ("two images, one placeholder: the second is not shown", "<image>\nCompare.", [1, 2], None),
        ("more placeholders than images: the rest stays text", "<image> and <image>", [1], None),
        ("special tokens in the question are tokens", "a<|im_end|>b", [], "s"),
        ("spaces are kept", "  <image>\n  total?  \n", [1], "s"),
    ]
    return [
        {"name": name, "question": question, "tiles": tiles, "tokens_per_tile": TOKENS_PER_TILE, "system": system,
         "prompt": prompt, "ids": tokenizer.encode(prompt).ids}
        for name, question, tiles, system in cases
        for prompt in [chat_prompt(question, tiles, system)]
    ]


class ImageProcessorOnly(InternVLProcessor):
    """transformers' processor without its video half, which would need torchvision."""

    def check_argument_for_proper_class(self, *_):
        pass


def hf_prompts(directory, tokenizer):
    """Rendered by transformers; the expansion is checked against its processor, which also makes the tiles."""
    hf = AutoTokenizer.from_pretrained(directory)
    images = GotOcr2ImageProcessorPil(size={"height": 56, "width": 56}, crop_to_patches=True)
    processor = ImageProcessorOnly(image_processor=images, tokenizer=hf, image_seq_length=TOKENS_PER_TILE, chat_template=CHAT_TEMPLATE)
    image, text = {"type": "image"}, {"type": "text", "text": "Extract the total."}
    cases = [
        ("text only", [{"role": "user", "content": "What is 2 + 2?"}], []),
        ("with a system message", [{"role": "system", "content": "You read documents."}, {"role": "user", "content": [image, text]}], [1]),
        ("one image", [{"role": "user", "content": [image, text]}], [1]),
        ("one image, several tiles", [{"role": "user", "content": [image, text]}], [3]),
        ("two images", [{"role": "user", "content": [image, image, text]}], [1, 3]),
        ("image after the text", [{"role": "user", "content": [text, image]}], [1]),
    ]
    out = []
    for name, messages, tiles in cases:
        rendered = hf.apply_chat_template(messages, chat_template=CHAT_TEMPLATE, tokenize=False, add_generation_prompt=True)
        early = hf.apply_chat_template(messages, chat_template=CHAT_TEMPLATE_EARLY, tokenize=False, add_generation_prompt=True)
        prompt = expand(early, "<image>", tiles)
        ids = tokenizer.encode(prompt).ids
        if tiles:
            pictures = [picture(56 * max(1, count - 1), 56, 1) for count in tiles]
            assert processor(images=pictures, text=rendered)["input_ids"][0] == ids, name
        out.append({"name": name, "messages": messages, "tiles": tiles, "tokens_per_tile": TOKENS_PER_TILE,
                    "rendered": rendered, "rendered_early": early, "prompt": prompt, "ids": ids})
    return out


def main():
    out = HERE / "tokenizer"
    shutil.rmtree(out, ignore_errors=True)
    for form in ("fast", "slow"):
        (out / form).mkdir(parents=True)
    merges = train()
    write_fast(out / "fast", merges)
    write_slow(out / "slow", merges)

    tokenizer = Tokenizer.from_file(str(out / "fast/tokenizer.json"))
    encodings = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        for form in ("fast", "slow"):
            assert AutoTokenizer.from_pretrained(out / form)(text)["input_ids"] == ids, (form, text)
        encodings.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                          "decoded_without_special": tokenizer.decode(ids, skip_special_tokens=True)})
    write_json(out / "expected.json", {
        "vocab_size": tokenizer.get_vocab_size(), "added_tokens": {t: tokenizer.token_to_id(t) for t, _ in ADDED_TOKENS},
        "default_system": DEFAULT_SYSTEM, "encodings": encodings,
        "original_prompts": original_prompts(tokenizer), "hf_prompts": hf_prompts(out / "fast", tokenizer),
        "hf_template": CHAT_TEMPLATE, "hf_template_early": CHAT_TEMPLATE_EARLY,
    })
    print(f"{tokenizer.get_vocab_size()} ids, {len(encodings)} encodings")


if __name__ == "__main__":
    main()
