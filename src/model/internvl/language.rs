//! The Qwen2 decoder over the rows of several sequences at once, its layers on one device or several.

use std::collections::BTreeMap;

use candle_core::{DType, Result, Tensor};

use super::aim::{Aim, Ends};
use super::config::TextConfig;
use super::decoder_layer::{Angles, DecoderLayer};
use super::embedding::Embedding;
use super::fault;
use super::fused::{AheadRow, Chosen, DecodeRow, Decoded, Fused, Stack};
use super::home::{Home, Homes};
use super::laps::Laps;
use super::looks::Looks;
use super::observe::{Observe, Part, Site, Within};
use crate::device::Links;
use crate::model::cache::{CacheShape, Rows};
use crate::model::layers::{DynamicNtk, Linear, Norm, RopeTable, Visit};
use crate::model::output::Want;
use crate::weights::{Loaded, Weights};

pub(super) struct Decoder {
    embedding: Embedding,
    layers: Vec<DecoderLayer>,
    norm: Norm,
    lm_head: Linear,
    homes: Homes,
    links: Links,
    /// One for each device that has layers.
    ropes: BTreeMap<usize, RopeTable>,
    /// None unless all layers have fused kernels.
    fused: Option<Fused>,
    room: Room,
    cache_shape: CacheShape,
}

/// What a decoder holds beside its weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) slots: usize,
    pub(super) slot_tokens: usize,
    pub(super) kv_blocks: usize,
}

impl Decoder {
    pub(super) fn load(
        config: &TextConfig,
        homes: &Homes,
        links: Links,
        weights: &Weights,
        room: Room,
        mut loaded: impl FnMut(Part),
    ) -> Loaded<Self> {
        let embedding = Embedding::load(config, homes, weights)?;
        loaded(Part::Embedding);
        let cache_shape = CacheShape {
            blocks: room.kv_blocks,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
        };
        let mut layers = Vec::with_capacity(config.layers);
        let mut ropes = BTreeMap::new();
        for (index, home) in homes.layers.iter().enumerate() {
            layers.push(DecoderLayer::load(config, home, weights, index, cache_shape)?);
            if let std::collections::btree_map::Entry::Vacant(entry) = ropes.entry(home.index) {
                entry.insert(rope(config, home, weights, room.slot_tokens)?);
            }
            loaded(Part::Layer(index));
        }
        let norm = load_norm(config, homes, weights)?;
        loaded(Part::Norm);
        let lm_head = load_head(config, homes, weights, embedding.table())?;
        loaded(Part::Head);
        Ok(Self {
            embedding,
            layers,
            norm,
            lm_head,
            homes: homes.clone(),
            links,
            ropes,
            fused: load_fused(config, homes, weights, room)?,
            room,
            cache_shape,
        })
    }

    /// Loads one part again, at `home`: on the same device, in another dtype.
    pub(super) fn reload(
        &mut self,
        config: &TextConfig,
        weights: &Weights,
        part: Part,
        home: Home,
    ) -> Loaded<()> {
        *self.homes.get_mut(part) = home;
        // Graphs name the tensors that they were made for.
        self.fused = load_fused(config, &self.homes, weights, self.room)?;
        let homes = &self.homes;
        match part {
            Part::Vision | Part::Projector => {}
            Part::Embedding => self.embedding = Embedding::load(config, homes, weights)?,
            Part::Layer(index) => {
                let home = &homes.layers[index];
                self.layers[index] =
                    DecoderLayer::load(config, home, weights, index, self.cache_shape)?;
            }
            Part::Norm => self.norm = load_norm(config, homes, weights)?,
            Part::Head => {
                self.lm_head = load_head(config, homes, weights, self.embedding.table())?;
            }
        }
        Ok(())
    }

    /// Embedding rows of `ids` where rows begin, `[ids, hidden]`; anything for those of `image`.
    pub(super) fn embed(&self, ids: &[u32], image: u32) -> Result<Tensor> {
        self.embedding.rows(ids, image)
    }

    /// Runs `x`, `[rows, hidden]` of all `sequences` one after the other, through the layers and
    /// into the KV cache. Returns the rows that `aim` says, in their order, before the final norm, on the last layer's
    /// device.
    pub(super) fn forward(
        &mut self,
        x: Tensor,
        sequences: &[Rows<'_>],
        aim: Aim<'_>,
        observer: &mut dyn Observe,
        (laps, looks): (&mut Laps, &mut Looks<'_>),
    ) -> Result<Tensor> {
        observer.see(Part::Embedding, Site::Residual, &x)?;
        let ends = Ends::of(aim, sequences);
        if let Some(x) =
            self.forward_fused(&x, (sequences, ends.as_ref()), observer, (laps, looks))?
        {
            return Ok(x);
        }
        let last = self.layers.len().saturating_sub(1);
        let mut at = self.homes.embedding.index;
        let mut x = x;
        // Angles are made again where the rows arrive on another device.
        let mut angles: Option<Angles> = None;
        for (index, (layer, home)) in self.layers.iter_mut().zip(&self.homes.layers).enumerate() {
            if home.index != at {
                x = laps.send(&self.links, &x, at, home)?;
                at = home.index;
                angles = None;
            }
            let angles = match &mut angles {
                Some(angles) => &*angles,
                none => none.insert(angles_of(&self.ropes[&at], sequences)?),
            };
            let mut look = Within { part: Part::Layer(index), observer: &mut *observer };
            let looks = looks.counts(index).then_some(&mut *looks);
            let ends = ends.as_ref().filter(|_| index == last);
            x = layer.forward(&x, (sequences, ends), angles, looks, &mut look)?;
            if !look.looks_inside() {
                x = fault::served(Part::Layer(index), x)?;
            }
            look.see(Site::Residual, &x)?;
        }
        Ok(x)
    }

    /// The same by fused kernels; none where a layer or this step has none.
    fn forward_fused(
        &self,
        x: &Tensor,
        rows: (&[Rows<'_>], Option<&Ends<'_>>),
        observer: &mut dyn Observe,
        (laps, looks): (&mut Laps, &mut Looks<'_>),
    ) -> Result<Option<Tensor>> {
        match &self.fused {
            Some(fused) => fused.forward(&self.stack(), x, rows, observer, (laps, looks)),
            None => Ok(None),
        }
    }

    /// Whether it serves by other operations than the plain ones that show every place.
    pub(super) fn has_kernels(&self) -> bool {
        self.fused.is_some() || fault::has_decoder_kernels()
    }

    /// Makes ready what decoding steps need, once the weights are final. `never` is not chosen.
    pub(super) fn prepare(&mut self, never: u32) -> Result<()> {
        if let (Some(layer), Some(home)) = (self.layers.last(), self.homes.layers.last()) {
            for dtype in [layer.residual, layer.compute] {
                Ends::warm_up(home.candle_device(), dtype)?;
            }
        }
        self.with_fused(|fused, stack| fused.prepare(stack, never)).map(|_| ())
    }

    /// One token more of each sequence, from the token to the choice; none where it takes the long way.
    pub(super) fn decode(
        &mut self,
        rows: &[DecodeRow<'_>],
        looks: &mut Looks<'_>,
    ) -> Result<Option<Decoded>> {
        let decoded = self.with_fused(|fused, stack| fused.decode(stack, rows, looks))?.flatten();
        let served =
            |decoded: Decoded| Ok(Decoded { logits: fault::decoded(decoded.logits)?, ..decoded });
        decoded.map(served).transpose()
    }

    /// Begins the step that follows the one begun last, whose choices are its tokens. Says whether it did.
    pub(super) fn begin_ahead(&mut self, rows: &[AheadRow<'_>]) -> Result<bool> {
        let begun = self.with_fused(|fused, stack| fused.begin_ahead(stack, rows))?;
        Ok(begun.unwrap_or(false))
    }

    /// Choices from [`logits`](Self::logits), made where these are; none where that cannot be.
    pub(super) fn choose(
        &self,
        logits: &Tensor,
        wants: &[Want<'_>],
        never: u32,
    ) -> Result<Option<Chosen>> {
        match &self.fused {
            Some(fused) => fused.choose(logits, &self.homes.head, wants, never),
            None => Ok(None),
        }
    }

    fn stack(&self) -> Stack<'_> {
        Stack {
            embedding: &self.embedding,
            layers: &self.layers,
            norm: &self.norm,
            head: &self.lm_head,
            homes: &self.homes,
            links: &self.links,
            ropes: &self.ropes,
        }
    }

    /// None where there are no fused kernels.
    fn with_fused<T>(
        &mut self,
        run: impl FnOnce(&mut Fused, &Stack<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        // Taken out meanwhile, so that it can change beside what it reads.
        let Some(mut fused) = self.fused.take() else { return Ok(None) };
        let done = run(&mut fused, &self.stack());
        self.fused = Some(fused);
        done.map(Some)
    }

    /// Logits in f32, `[rows, vocab]`, after `rows`, which [`forward`](Self::forward) returned, or some of
    /// them.
    pub(super) fn logits(
        &self,
        rows: &Tensor,
        observer: &mut dyn Observe,
        laps: &mut Laps,
    ) -> Result<Tensor> {
        let (norm, head) = (&self.homes.norm, &self.homes.head);
        let last = self.homes.layers.last().unwrap_or(norm).index;
        let rows = laps.send(&self.links, rows, last, norm)?.to_dtype(norm.residual())?;
        let rows = self.norm.forward(&rows)?;
        let rows = laps.send(&self.links, &rows, norm.index, head)?.to_dtype(head.compute())?;
        let mut logits = self.lm_head.forward_as(&rows, DType::F32)?;
        if !observer.looks_inside() {
            logits = fault::served(Part::Head, logits)?;
        }
        observer.see(Part::Head, Site::Logits, &logits)?;
        Ok(logits)
    }

    pub(super) fn homes(&self) -> &Homes {
        &self.homes
    }

    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// Shows the stored tensors of `part`.
    pub(super) fn visit(&self, part: Part, visit: Visit<'_>) {
        match part {
            Part::Vision | Part::Projector => {}
            Part::Embedding => self.embedding.visit(visit),
            Part::Layer(index) => self.layers[index].visit(visit),
            Part::Norm => self.norm.visit("norm", &mut |_, tensor| visit("weight", tensor)),
            // The embedding's own tensor is not counted twice.
            Part::Head if self.lm_head.has_weight(self.embedding.table()) => {}
            Part::Head => self.lm_head.visit("lm_head", visit),
        }
    }
}

fn load_fused(
    config: &TextConfig,
    homes: &Homes,
    weights: &Weights,
    room: Room,
) -> Loaded<Option<Fused>> {
    let place = |error| homes.head.matrices(weights).cannot_place("scratch memory", &error);
    Fused::new(config, homes, room).map_err(place)
}

/// Of all rows, one sequence after the other.
fn angles_of(rope: &RopeTable, sequences: &[Rows<'_>]) -> Result<Angles> {
    if let [rows] = sequences {
        return rope.angles(rows.start, rows.len);
    }
    let each = sequences.iter().map(|rows| rope.angles(rows.start, rows.len));
    let (cos, sin): (Vec<Tensor>, Vec<Tensor>) =
        each.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok((Tensor::cat(&cos, 0)?, Tensor::cat(&sin, 0)?))
}

fn load_norm(config: &TextConfig, homes: &Homes, weights: &Weights) -> Loaded<Norm> {
    let name = "language_model.model.norm.weight";
    Ok(Norm::Rms {
        weight: homes.norm.vectors(weights).tensor(name, &[config.hidden_size])?,
        eps: config.eps as f32,
    })
}

/// The stored output matrix, or the embedding where there is none. A stored one wins even over
/// `tie_word_embeddings: true`, which some published configurations say by mistake.
fn load_head(
    config: &TextConfig,
    homes: &Homes,
    weights: &Weights,
    embed_tokens: &Tensor,
) -> Loaded<Linear> {
    const NAME: &str = "language_model.lm_head.weight";
    let (embedding, head) = (&homes.embedding, &homes.head);
    let is_tied = config.tied_embeddings && !weights.contains(NAME);
    let alike = homes.host.is_none()
        && embedding.index == head.index
        && embedding.compute() == head.compute();
    if is_tied && alike && head.quantization().is_none() {
        return Ok(Linear::new(embed_tokens.clone(), None));
    }
    let name = if is_tied { "language_model.model.embed_tokens.weight" } else { NAME };
    let part = (name.to_owned(), vec![config.vocab_size, config.hidden_size]);
    head.linear(weights, &[part], None)
}

fn rope(
    config: &TextConfig,
    home: &Home,
    weights: &Weights,
    positions: usize,
) -> Loaded<RopeTable> {
    let ntk = config
        .rope_dynamic_factor
        .map(|factor| DynamicNtk { factor, trained_positions: config.positions_max });
    RopeTable::new(config.rope_theta, config.head_dim, positions, ntk, home.candle_device())
        .map_err(|error| home.matrices(weights).cannot_place("RoPE tables", &error))
}
