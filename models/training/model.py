"""The tiny InternVL: configuration, a fast functional forward over the Hugging Face parameters, greedy decoding,
saving and loading. ``check.py`` tests that this forward equals the Hugging Face one."""
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, InternVLConfig, InternVLForConditionalGeneration

import augment
from tessera_synth.charset import N_CLASSES, SLOTS
from tessera_synth.prompts import Chat

Tensor = torch.Tensor
HERE = Path(__file__).resolve().parent


def make_config(chat: Chat, vocabulary: int) -> InternVLConfig:
    """11.26 M parameters: 7 vision layers and 6 decoder layers of width 256."""
    vision = dict(hidden_size=256, num_hidden_layers=7, num_attention_heads=4, intermediate_size=1024, attention_bias=True, use_qk_norm=False, hidden_act="gelu", norm_type="layer_norm", layer_norm_eps=1e-6,
                  image_size=[448, 448], patch_size=[14, 14], layer_scale_init_value=1.0, use_mean_pooling=True, use_absolute_position_embeddings=True)
    text = dict(model_type="qwen2", hidden_size=256, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=2, intermediate_size=768, vocab_size=vocabulary, hidden_act="silu", max_position_embeddings=4096,
                rms_norm_eps=1e-6, rope_parameters=dict(rope_type="default", rope_theta=10000.0), tie_word_embeddings=True, use_sliding_window=False, bos_token_id=chat.pad, eos_token_id=chat.end, pad_token_id=chat.pad)
    return InternVLConfig(vision_config=vision, text_config=text, image_token_id=chat.context, image_seq_length=256, downsample_ratio=0.5, projector_hidden_act="gelu", vision_feature_layer=-1,
                          vision_feature_select_strategy="default", tie_word_embeddings=True)


def make_model(config: InternVLConfig, device: str, seed: int = 0) -> InternVLForConditionalGeneration:
    """Fresh weights."""
    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(config).float()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() >= 2 and not any(k in name for k in ("embed", "token", "position")):
                residual = any(k in name for k in ("o_proj", "down_proj", "projection_layer", "fc2"))
                nn.init.normal_(p, std=p[0].numel() ** -0.5 * (0.5 if residual else 1.0))
        embeddings = model.model.vision_tower.embeddings
        embeddings.position_embeddings.normal_(std=0.3)
        embeddings.cls_token.normal_(std=0.02)
        model.model.language_model.embed_tokens.weight.normal_(std=0.06)
    model.tie_weights()
    return model.to(device)


def make_heads(device: str, width: int = 256) -> dict[str, nn.Parameter]:
    """Training-only heads that name the characters of each patch and of each image token."""
    k = SLOTS * N_CLASSES
    heads = dict(patch_w=torch.randn(k, width) * width ** -0.5, patch_b=torch.zeros(k), tok_w=torch.randn(4 * k, width) * width ** -0.5, tok_b=torch.zeros(4 * k))
    return {name: nn.Parameter(v.to(device)) for name, v in heads.items()}


# ---------------------------------------------------------------------------------------------- blocks


def layer_norm(x: Tensor, w: Tensor, b: Tensor, eps: float = 1e-6) -> Tensor:
    return F.layer_norm(x.float(), w.shape, w, b, eps).to(x.dtype)


def rms_norm(x: Tensor, w: Tensor, eps: float = 1e-6) -> Tensor:
    f = x.float()
    return (f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + eps) * w).to(x.dtype)


def vision_block(x: Tensor, params: tuple[Tensor, ...], heads: int) -> Tensor:
    (n1w, n1b, wq, bq, wk, bk, wv, bv, wo, bo, scale1, n2w, n2b, w1, b1, w2, b2, scale2) = params
    d = x.dtype
    b, n, width = x.shape
    qkv = F.linear(layer_norm(x, n1w, n1b), torch.cat([wq, wk, wv]).to(d), torch.cat([bq, bk, bv]).to(d)).view(b, n, 3, heads, width // heads)
    q, k, v = (qkv[:, :, i].transpose(1, 2) for i in range(3))
    o = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, width)
    x = x + F.linear(o, wo.to(d), bo.to(d)) * scale1.to(d)
    h = F.linear(F.gelu(F.linear(layer_norm(x, n2w, n2b), w1.to(d), b1.to(d))), w2.to(d), b2.to(d))
    return x + h * scale2.to(d)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    h = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., h:], x[..., :h]], -1) * sin


def decoder_qkv(x: Tensor, params: tuple[Tensor, ...], heads: int, kv_heads: int, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (n1, wq, bq, wk, bk, wv, bv) = params[:7]
    d = x.dtype
    b, n, _ = x.shape
    hd = wq.shape[0] // heads
    qkv = F.linear(rms_norm(x, n1), torch.cat([wq, wk, wv]).to(d), torch.cat([bq, bk, bv]).to(d))
    q, k, v = qkv.split([heads * hd, kv_heads * hd, kv_heads * hd], -1)
    q = rotate(q.view(b, n, heads, hd).transpose(1, 2), cos, sin)
    k = rotate(k.view(b, n, kv_heads, hd).transpose(1, 2), cos, sin)
    return q, k, v.view(b, n, kv_heads, hd).transpose(1, 2)


def repeat_kv(k: Tensor, n: int) -> Tensor:
    return k if n == 1 else k[:, :, None].expand(-1, -1, n, -1, -1).reshape(k.shape[0], -1, k.shape[2], k.shape[3])


def decoder_tail(x: Tensor, attended: Tensor, params: tuple[Tensor, ...]) -> Tensor:
    wo, n2, gate, up, down = params[7:]
    d = x.dtype
    x = x + F.linear(attended, wo.to(d))
    h = rms_norm(x, n2)
    return x + F.linear(F.silu(F.linear(h, gate.to(d))) * F.linear(h, up.to(d)), down.to(d))


def decoder_block(x: Tensor, params: tuple[Tensor, ...], heads: int, kv_heads: int, cos: Tensor, sin: Tensor) -> Tensor:
    b, n, _ = x.shape
    q, k, v = decoder_qkv(x, params, heads, kv_heads, cos, sin)
    o = F.scaled_dot_product_attention(q, repeat_kv(k, heads // kv_heads), repeat_kv(v, heads // kv_heads), is_causal=True)
    return decoder_tail(x, o.transpose(1, 2).reshape(b, n, -1), params)


def text_loss(h: Tensor, norm: Tensor, embedding: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    logits = F.linear(rms_norm(h, norm), embedding.to(h.dtype)).float()
    t, m = target.flatten(), mask.flatten().float()
    ce = F.cross_entropy(logits.flatten(0, 1), t, reduction="none")
    n = m.sum().clamp(min=1)
    return (ce * m).sum() / n, ((logits.flatten(0, 1).argmax(-1) == t).float() * m).sum() / n


def character_loss(x: Tensor, w: Tensor, b: Tensor, target: Tensor, class_weight: Tensor) -> tuple[Tensor, Tensor]:
    logits = F.linear(x, w.to(x.dtype), b.to(x.dtype)).float().reshape(-1, N_CLASSES)
    t = target.reshape(-1)
    loss = F.cross_entropy(logits, t, weight=class_weight, ignore_index=255)
    shown = ((t > 0) & (t != 255)).float()
    return loss, ((logits.argmax(-1) == t).float() * shown).sum() / shown.sum().clamp(min=1)


class Net:
    """Functional forward over the parameters of a Hugging Face InternVL."""

    def __init__(self, model: InternVLForConditionalGeneration, heads: dict[str, nn.Parameter], device: str) -> None:
        self.model, self.heads, self.device = model, heads, device
        self.dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        self.vision_config, self.text_config = model.config.vision_config, model.config.text_config
        tower, decoder = model.model.vision_tower, model.model.language_model
        self.embeddings, self.projector = tower.embeddings, model.model.multi_modal_projector
        self.vocabulary, self.norm = decoder.embed_tokens.weight, decoder.norm.weight
        self.vision_params = []
        for y in tower.encoder.layer:
            t = y.attention
            self.vision_params.append((y.layernorm_before.weight, y.layernorm_before.bias, t.q_proj.weight, t.q_proj.bias, t.k_proj.weight, t.k_proj.bias, t.v_proj.weight, t.v_proj.bias,
                                       t.projection_layer.weight, t.projection_layer.bias, y.lambda_1, y.layernorm_after.weight, y.layernorm_after.bias, y.mlp.fc1.weight, y.mlp.fc1.bias,
                                       y.mlp.fc2.weight, y.mlp.fc2.bias, y.lambda_2))
        self.decoder_params = []
        for y in decoder.layers:
            t = y.self_attn
            self.decoder_params.append((y.input_layernorm.weight, t.q_proj.weight, t.q_proj.bias, t.k_proj.weight, t.k_proj.bias, t.v_proj.weight, t.v_proj.bias, t.o_proj.weight,
                                        y.post_attention_layernorm.weight, y.mlp.gate_proj.weight, y.mlp.up_proj.weight, y.mlp.down_proj.weight))
        self.n_heads, self.n_kv = self.text_config.num_attention_heads, self.text_config.num_key_value_heads
        hd = self.text_config.hidden_size // self.n_heads
        theta = self.text_config.rope_parameters["rope_theta"]
        f = torch.outer(torch.arange(4096.0), 1.0 / theta ** (torch.arange(0, hd, 2).float() / hd))
        f = torch.cat([f, f], -1).to(device)
        self.cos, self.sin = f.cos().to(self.dtype), f.sin().to(self.dtype)
        self.class_weight = torch.ones(N_CLASSES, device=device)
        self.class_weight[0] = 0.06
        self.vision_block, self.decoder_block, self.text_loss, self.character_loss = vision_block, decoder_block, text_loss, character_loss

    def compile(self) -> None:
        """Compiles the blocks."""
        import torch._dynamo as dynamo
        for k in ("recompile_limit", "cache_size_limit"):
            if hasattr(dynamo.config, k):
                setattr(dynamo.config, k, 64)
        self.vision_block, self.decoder_block, self.text_loss, self.character_loss = (torch.compile(f) for f in (vision_block, decoder_block, text_loss, character_loss))

    def vision(self, x: Tensor, fast: bool = True) -> tuple[Tensor, Tensor]:
        """Normalised pixels [N, 3, 448, 448] -> patch states [N, 1024, D], image tokens [N, 256, D]."""
        n, d = x.shape[0], self.dtype
        conv = self.embeddings.patch_embeddings.projection
        t = x.to(d).view(n, 3, 32, 14, 32, 14).permute(0, 2, 4, 1, 3, 5).reshape(n, 1024, 588)
        t = F.linear(t, conv.weight.flatten(1).to(d), conv.bias.to(d))
        t = torch.cat([self.embeddings.cls_token.to(d).expand(n, 1, -1), t], 1) + self.embeddings.position_embeddings.to(d)
        block = self.vision_block if fast else vision_block
        for params in self.vision_params:
            t = block(t, params, self.vision_config.num_attention_heads)
        t = t[:, 1:]
        width = t.shape[-1]
        z = t.reshape(n, 16, 2, 16, 2, width).permute(0, 1, 3, 2, 4, 5).reshape(n, 256, 4 * width)
        p = self.projector
        z = layer_norm(z, p.layer_norm.weight, p.layer_norm.bias, p.layer_norm.eps)
        z = F.linear(F.gelu(F.linear(z, p.linear_1.weight.to(d), p.linear_1.bias.to(d))), p.linear_2.weight.to(d), p.linear_2.bias.to(d))
        return t, z

    def embed(self, ids: Tensor, features: Tensor) -> Tensor:
        """Token embeddings with the image features [B, n, D] in the image places."""
        e = F.embedding(ids, self.vocabulary).to(self.dtype)
        image = ids == self.model.config.image_token_id
        i = (image.cumsum(1) - 1).clamp(0, features.shape[1] - 1)
        return torch.where(image[..., None], features.gather(1, i[..., None].expand(-1, -1, features.shape[-1])), e)

    def decode(self, h: Tensor, fast: bool = True) -> Tensor:
        """All decoder layers."""
        c, s = self.cos[:h.shape[1]], self.sin[:h.shape[1]]
        block = self.decoder_block if fast else decoder_block
        for params in self.decoder_params:
            h = block(h, params, self.n_heads, self.n_kv, c, s)
        return h

    def loss(self, x: Tensor, target: Tensor, ids: Tensor, answer: Tensor, tiles: int, pad_to: int, aux: float) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Text loss plus ``aux`` times the two character losses."""
        n = x.shape[0]
        if n < pad_to:                                       # one compiled shape for every grid; 255 is ignored
            x = torch.cat([x, x.new_zeros(pad_to - n, *x.shape[1:])])
            target = torch.cat([target, target.new_full((pad_to - n, target.shape[1]), 255)])
        t, z = self.vision(x)
        tg = target.long()
        patch, patch_acc = self.character_loss(t, self.heads["patch_w"], self.heads["patch_b"], tg, self.class_weight)
        grouped = tg.view(len(tg), 16, 2, 16, 2, SLOTS).permute(0, 1, 3, 2, 4, 5).reshape(len(tg), -1)
        token, token_acc = self.character_loss(z, self.heads["tok_w"], self.heads["tok_b"], grouped, self.class_weight)
        b = n // tiles
        features = z[:n].reshape(b, tiles * 256, -1).repeat_interleave(ids.shape[0] // b, 0)
        h = self.decode(self.embed(ids, features))
        o = tiles * 256
        text, text_acc = self.text_loss(h[:, o:-1], self.norm, self.vocabulary, ids[:, o + 1:], answer[:, o + 1:])
        return text + aux * (patch + token), (text.detach(), patch.detach(), token.detach(), text_acc, patch_acc, token_acc)

    @torch.no_grad()
    def generate(self, x: Tensor, prompts: list[list[int]], tiles: int, max_new: int, eos: int) -> list[list[int]]:
        """Greedy decoding. Prompts of one batch must be equally long."""
        if self.device.startswith("cuda"):                   # cuDNN's attention plans anew for every length
            torch.backends.cuda.enable_cudnn_sdp(False)
        b = x.shape[0] // tiles
        z = torch.cat([self.vision(c, False)[1] for c in x.split(64)]).reshape(b, tiles * 256, -1)
        ids = torch.tensor(prompts, device=self.device)
        length = ids.shape[1]
        h = self.embed(ids, z)
        group, d = self.n_heads // self.n_kv, self.dtype
        layers = []                                          # fused and cast once, not at every token
        for n1, wq, bq, wk, bk, wv, bv, wo, n2, gate, up, down in self.decoder_params:
            layers.append((n1, torch.cat([wq, wk, wv]).to(d), torch.cat([bq, bk, bv]).to(d), wo.to(d), n2, torch.cat([gate, up]).to(d), down.to(d)))
        vocabulary = self.vocabulary.to(d)
        hd = self.decoder_params[0][1].shape[0] // self.n_heads
        cache: list[tuple[Tensor, Tensor]] = []
        for params in self.decoder_params:
            q, k, v = decoder_qkv(h, params, self.n_heads, self.n_kv, self.cos[:length], self.sin[:length])
            keys, values = (torch.zeros(b, self.n_kv, length + max_new, hd, device=self.device, dtype=self.dtype) for _ in range(2))
            keys[:, :, :length], values[:, :, :length] = k, v
            cache.append((keys, values))
            o = F.scaled_dot_product_attention(q, repeat_kv(k, group), repeat_kv(v, group), is_causal=True)
            h = decoder_tail(h, o.transpose(1, 2).reshape(b, length, -1), params)
        out: list[Tensor] = []
        done = torch.zeros(b, dtype=torch.bool, device=self.device)
        h = h[:, -1:]
        for i in range(max_new):
            nxt = F.linear(rms_norm(h, self.norm), vocabulary)[:, 0].float().argmax(-1)
            out.append(nxt)
            done |= nxt == eos
            if i == max_new - 1 or (i % 16 == 15 and bool(done.all())):
                break
            h = F.embedding(nxt[:, None], vocabulary)
            t = length + i
            cos, sin = self.cos[t:t + 1], self.sin[t:t + 1]
            for (n1, wqkv, bqkv, wo, n2, gate_up, down), (keys, values) in zip(layers, cache):
                qkv = F.linear(rms_norm(h, n1), wqkv, bqkv).view(b, 1, -1, hd).transpose(1, 2)
                qk = rotate(qkv[:, :self.n_heads + self.n_kv], cos, sin)
                keys[:, :, t:t + 1], values[:, :, t:t + 1] = qk[:, self.n_heads:], qkv[:, self.n_heads + self.n_kv:]
                q = qk[:, :self.n_heads].reshape(b, self.n_kv, group, hd)          # query heads of one key head side by side
                o = F.scaled_dot_product_attention(q, keys[:, :, :t + 1], values[:, :, :t + 1])
                h = h + F.linear(o.reshape(b, 1, -1), wo)
                g, u = F.linear(rms_norm(h, n2), gate_up).chunk(2, -1)
                h = h + F.linear(F.silu(g) * u, down)
        rows = torch.stack(out, 1).tolist()
        return [y[:y.index(eos)] if eos in y else y for y in rows]


# ---------------------------------------------------------------------------------------------- files


def save(model: InternVLForConditionalGeneration, heads: dict[str, nn.Parameter], chat: Chat, out: str) -> int:
    """Writes a complete bfloat16 Hugging Face folder and the training heads; returns the size of the weights."""
    os.makedirs(out, exist_ok=True)
    copy = InternVLForConditionalGeneration(model.config)
    copy.load_state_dict({k: v.detach().cpu() for k, v in model.state_dict().items()})
    copy = copy.to(torch.bfloat16)
    copy.tie_weights()
    copy.generation_config = GenerationConfig(eos_token_id=[chat.end, chat.pad], pad_token_id=chat.pad, bos_token_id=chat.pad, max_new_tokens=1024, do_sample=False)
    copy.save_pretrained(out)
    path = Path(out)
    config = json.loads((path / "config.json").read_text())
    config.update(torch_dtype="bfloat16", dtype="bfloat16")
    config["text_config"].update(rope_theta=10000.0, torch_dtype="bfloat16")
    config["vision_config"]["torch_dtype"] = "bfloat16"
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({k: v.detach().to(torch.bfloat16).cpu().contiguous() for k, v in heads.items()}, str(path / "aux.safetensors"))
    processor = dict(image_processor_type="GotOcr2ImageProcessor", processor_class="InternVLProcessor", do_resize=True, size=dict(height=448, width=448), crop_to_patches=True, min_patches=1, max_patches=4,
                     do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=list(augment.MEAN), image_std=list(augment.STD), resample=3, do_convert_rgb=True)
    (path / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
    (path / "processor_config.json").write_text(json.dumps(dict(image_seq_length=256, processor_class="InternVLProcessor"), indent=2) + "\n")
    for f in (HERE / "tokenizer").iterdir():
        shutil.copy(f, path / f.name)
    return (path / "model.safetensors").stat().st_size


def load(model: InternVLForConditionalGeneration, heads: dict[str, nn.Parameter], folder: str, device: str) -> None:
    """Reads weights (and the training heads, if there) from a folder."""
    source = InternVLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.load_state_dict({k: v.to(device) for k, v in source.state_dict().items()})
    model.tie_weights()
    extra = Path(folder) / "aux.safetensors"
    if extra.exists():
        for k, v in load_file(str(extra)).items():
            if k in heads and heads[k].shape == v.shape:
                heads[k].data.copy_(v.float())
