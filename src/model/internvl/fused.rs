//! The decoder's layers by fused kernels, on GPUs that have them: a norm with the addition before it, bias
//! and rotation with the write into the cache, attention without a score matrix in memory.
//!
//! A layer takes nine launches, its four products included, which write to buffers that all layers share; eight where an
//! activation comes with its product.
//! Positions, slots and lengths are read on the device. The results differ from
//! [`DecoderLayer::forward`] by rounding. Observers that look inside a layer, at start-up and after a NaN,
//! see the plain operations instead.

mod ahead;
mod choosing;
mod decode;
mod glances;
mod places;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use candle_core::{Result, Tensor, bail};

use super::aim::Ends;
use super::config::TextConfig;
use super::decoder_layer::DecoderLayer;
use super::embedding::Embedding;
use super::home::{Home, Homes};
use super::language::Room;
use super::laps::Laps;
use super::looks::Looks;
use super::observe::{Observe, Part, Site};
use crate::device::Links;
use crate::limits;
use crate::model::cache::Rows;
use crate::model::cuda::attention::{self, Paged, Scratch};
use crate::model::cuda::launch::buffer;
use crate::model::cuda::looks::Glance;
use crate::model::cuda::rows;
use crate::model::cuda::tokens::CHOICE_WORDS;
use crate::model::cuda::transfer::{Downloads, Uploads};
use crate::model::layers::{Linear, Norm, RopeTable};
use crate::model::output::Want;
use crate::model::times::PassTimes;
pub(super) use ahead::AheadRow;
pub(super) use choosing::Chosen;
use choosing::{Choosing, choices_of, needs_of};
pub(super) use decode::DecodeRow;
use decode::DecodeStep;
pub(super) use glances::PageSums;
use places::{Piece, Places};

/// What a decoder is made of, for the time of a step.
#[derive(Clone, Copy)]
pub(super) struct Stack<'a> {
    pub(super) embedding: &'a Embedding,
    pub(super) layers: &'a [DecoderLayer],
    pub(super) norm: &'a Norm,
    pub(super) head: &'a Linear,
    pub(super) homes: &'a Homes,
    pub(super) links: &'a Links,
    pub(super) ropes: &'a BTreeMap<usize, RopeTable>,
}

/// Memory and graphs of the fused kernels.
pub(super) struct Fused {
    /// One for each device that has layers.
    scratches: BTreeMap<usize, Scratch>,
    widths: Widths,
    room: Room,
    /// None until it is prepared, and where layers change between devices or dtypes to and fro.
    decode: Option<DecodeStep>,
    downloads: Downloads,
    /// Of what sequences look at.
    glances: Downloads,
    uploads: Uploads,
}

/// What a step of the decoder comes to.
pub(super) struct Decoded {
    pub(super) chosen: Chosen,
    /// f32, `[rows, vocab]`, in the order of the choices. Rows behind those mean nothing, nor do those that wanted their
    /// likeliest token. Good until the next step begins.
    pub(super) logits: Tensor,
    /// Whether the step was begun ahead.
    pub(super) was_begun: bool,
    /// None where they are made with a pass that is timed as a whole.
    pub(super) times: Option<PassTimes>,
}

/// Elements of a row of each kind.
#[derive(Debug, Clone, Copy)]
struct Widths {
    hidden: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    inner: usize,
    vocabulary: usize,
}

/// Buffers of one step on one device. Each layer writes them anew, but for the residual.
#[derive(Debug, Clone)]
struct Workspace {
    residual: Tensor,
    normed: Tensor,
    qkv: Tensor,
    /// `[rows, heads, head_dim]`
    q: Tensor,
    attended: Tensor,
    /// What is to be added to the residual before the next norm.
    delta: Tensor,
    gate_up: Tensor,
    inner: Tensor,
}

impl Fused {
    /// None unless all layers have kernels for all they do.
    pub(super) fn new(config: &TextConfig, homes: &Homes, room: Room) -> Result<Option<Self>> {
        let widths = Widths {
            hidden: config.hidden_size,
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            inner: config.intermediate_size,
            vocabulary: config.vocab_size,
        };
        if !homes.layers.iter().all(|home| widths.are_taken(home)) {
            return Ok(None);
        }
        let mut scratches = BTreeMap::new();
        for home in &homes.layers {
            if let Entry::Vacant(entry) = scratches.entry(home.index) {
                let rows = room.slots.max(1);
                entry.insert(Scratch::new(home.candle_device(), rows, widths.kv_heads)?);
            }
        }
        let downloads = Downloads::new(room.slots.max(decode::ROWS_MAX) * CHOICE_WORDS);
        let glances = Downloads::new(room.slots.max(decode::ROWS_MAX) * limits::PAGES_MAX);
        let uploads = Uploads::default();
        Ok(Some(Self { scratches, widths, room, decode: None, downloads, glances, uploads }))
    }

    /// Makes the graphs of decoding steps, for the tensors that `stack` has now. `never` is not chosen.
    pub(super) fn prepare(&mut self, stack: &Stack<'_>, never: u32) -> Result<()> {
        self.decode = None;
        self.decode = DecodeStep::new(stack, self, never)?;
        Ok(())
    }

    /// Runs `x`, `[rows, hidden]`, through all layers, the last one for its ends alone where these are given; none where
    /// this step has no kernels, or the observer looks inside a layer.
    pub(super) fn forward(
        &self,
        stack: &Stack<'_>,
        x: &Tensor,
        (sequences, ends): (&[Rows<'_>], Option<&Ends<'_>>),
        observer: &mut dyn Observe,
        (laps, looks): (&mut Laps, &mut Looks<'_>),
    ) -> Result<Option<Tensor>> {
        if observer.looks_inside() {
            return Ok(None);
        }
        let Some(places) = self.places(stack, sequences)? else { return Ok(None) };
        let ending = places_of_ends(stack, ends)?;
        let mut glances: BTreeMap<usize, Glance> = BTreeMap::new();
        let last = stack.layers.len().saturating_sub(1);
        // The prompt of a probe is shorter than those that some kernels are for.
        let is_probed = !observer.is_blind();
        let mut at = stack.homes.embedding.index;
        let mut workspace: Option<Workspace> = None;
        // Nothing waits to be added to the residual yet.
        let mut is_first = true;
        for (index, (layer, home)) in stack.layers.iter().zip(&stack.homes.layers).enumerate() {
            let fits = workspace.as_ref().is_some_and(|workspace| workspace.fits(layer));
            if home.index != at || !fits {
                let sum = match &workspace {
                    Some(workspace) => workspace.sum()?,
                    None => x.clone(),
                };
                let sum = laps.send(stack.links, &sum, at, home)?;
                workspace =
                    Some(Workspace::new(&sum.to_dtype(layer.residual)?, layer, self.widths)?);
                (at, is_first) = (home.index, true);
            }
            let Some(whole) = &workspace else { continue };
            let (places_of_all, scratch) = (&places[&at], &self.scratches[&at]);
            layer.take_in_fused(whole, is_first, places_of_all)?;
            is_first = false;
            if looks.counts(index) {
                let glance = match glances.entry(at) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert(self.glance(looks, home.candle_device())?),
                };
                let cache = layer.paged(&places_of_all.tables);
                glance.add(&whole.q, cache, looks.part())?;
            }
            match (ends.filter(|_| index == last), &ending) {
                (None, _) => layer.finish_fused(whole, places_of_all, scratch, is_probed)?,
                (Some(ends), Some(places)) => {
                    let own = whole.of_ends(ends)?;
                    layer.finish_fused(&own, places, scratch, false)?;
                    workspace = Some(own);
                }
                // Nobody reads a row: the cache is all that this pass was for.
                (Some(ends), None) => workspace = Some(whole.of_ends(ends)?),
            }
            if let Some(workspace) = workspace.as_ref().filter(|_| is_probed) {
                observer.see(Part::Layer(index), Site::Residual, &workspace.sum()?)?;
            }
        }
        for glance in glances.values() {
            looks.add_later(self.page_sums(glance)?);
        }
        let rows = match workspace {
            // No kernel sums nothing.
            Some(workspace) if ends.is_some_and(Ends::is_empty) => workspace.residual,
            Some(workspace) => workspace.sum()?,
            None => x.clone(),
        };
        Ok(Some(rows))
    }

    /// Where rows of `sequences` belong, on each device; none where one is longer than its angles are made for.
    fn places(
        &self,
        stack: &Stack<'_>,
        sequences: &[Rows<'_>],
    ) -> Result<Option<BTreeMap<usize, Places>>> {
        let mut places = BTreeMap::new();
        for (index, rope) in stack.ropes {
            let device = self.scratches[index].device();
            let Some(new) = Places::new(sequences, rope, device)? else { return Ok(None) };
            places.insert(*index, new);
        }
        Ok(Some(places))
    }

    /// One token more of each sequence, by a graph; none where this step has none.
    pub(super) fn decode(
        &mut self,
        stack: &Stack<'_>,
        rows: &[DecodeRow<'_>],
        looks: &mut Looks<'_>,
    ) -> Result<Option<Decoded>> {
        let Some(mut decode) = self.decode.take() else { return Ok(None) };
        let decoded = decode.run(stack, self, rows, looks);
        self.decode = Some(decode);
        decoded
    }

    /// Begins the step that follows the one begun last, whose choices are its tokens. Says whether it did.
    pub(super) fn begin_ahead(&mut self, stack: &Stack<'_>, rows: &[AheadRow<'_>]) -> Result<bool> {
        let Some(mut decode) = self.decode.take() else { return Ok(false) };
        let begun = decode.begin_ahead(stack, self, rows);
        self.decode = Some(decode);
        begun
    }

    /// Choices from `logits`, `[rows, vocab]`, on their device; none where it has no kernels.
    pub(super) fn choose(
        &self,
        logits: &Tensor,
        head: &Home,
        wants: &[Want<'_>],
        never: u32,
    ) -> Result<Option<Chosen>> {
        let (rows, vocabulary) = logits.dims2()?;
        let Some(scratch) = self.scratches.get(&head.index) else { return Ok(None) };
        if rows > self.room.slots {
            return Ok(None);
        }
        let device = logits.device();
        let needs: Vec<u32> = wants.iter().map(|want| needs_of(*want)).collect();
        let needs = Tensor::new(needs, device)?;
        let choosing = Choosing::new(needs, vocabulary, never, self.uploads.clone())?;
        let choices = choices_of(rows, device)?;
        choosing.choose(logits, None, wants, scratch, &choices)?;
        Ok(Some(Chosen::of_all(self.downloads.start(&choices)?)))
    }
}

impl Widths {
    fn are_taken(self, home: &Home) -> bool {
        let (device, compute) = (home.candle_device(), home.compute());
        attention::takes(device, compute, self.head_dim, self.heads / self.kv_heads)
            && attention::takes_prefill(device, compute, self.head_dim)
            && [self.hidden, self.inner].iter().all(|width| rows::takes(*width, compute))
    }
}

impl Workspace {
    /// For the rows of `residual`, which it takes over.
    fn new(residual: &Tensor, layer: &DecoderLayer, widths: Widths) -> Result<Self> {
        let Widths { hidden, heads, kv_heads, head_dim, inner, .. } = widths;
        let (rows, device) = (residual.dim(0)?, residual.device());
        let of = |width: usize| buffer(device, (rows, width), layer.compute);
        Ok(Self {
            residual: residual.contiguous()?,
            normed: of(hidden)?,
            qkv: of((heads + 2 * kv_heads) * head_dim)?,
            q: buffer(device, (rows, heads, head_dim), layer.compute)?,
            attended: of(heads * head_dim)?,
            delta: buffer(device, (rows, hidden), layer.residual)?,
            gate_up: of(2 * inner)?,
            inner: of(inner)?,
        })
    }

    /// Its first `rows` rows.
    fn narrow(&self, rows: usize) -> Result<Self> {
        let of = |tensor: &Tensor| tensor.narrow(0, 0, rows);
        Ok(Self {
            residual: of(&self.residual)?,
            normed: of(&self.normed)?,
            qkv: of(&self.qkv)?,
            q: of(&self.q)?,
            attended: of(&self.attended)?,
            delta: of(&self.delta)?,
            gate_up: of(&self.gate_up)?,
            inner: of(&self.inner)?,
        })
    }

    /// What its last layer is finished in.
    fn of_ends(&self, ends: &Ends<'_>) -> Result<Self> {
        let rows = ends.sequences.len();
        let (residual, q) = (ends.gather(&self.residual)?, ends.gather(&self.q)?);
        Ok(Self { residual, q, ..self.narrow(rows)? })
    }

    fn fits(&self, layer: &DecoderLayer) -> bool {
        self.residual.dtype() == layer.residual && self.normed.dtype() == layer.compute
    }

    /// The residual after a layer.
    fn sum(&self) -> Result<Tensor> {
        &self.residual + &self.delta
    }
}

impl DecoderLayer {
    /// As [`forward`](Self::forward), in the buffers of `workspace`; the sum is left to the next norm.
    fn forward_fused(
        &self,
        workspace: &Workspace,
        is_first: bool,
        places: &Places,
        scratch: &Scratch,
    ) -> Result<()> {
        self.take_in_fused(workspace, is_first, places)?;
        self.finish_fused(workspace, places, scratch, false)
    }

    /// Up to the queries, with keys and values in the cache.
    fn take_in_fused(&self, workspace: &Workspace, is_first: bool, places: &Places) -> Result<()> {
        let Workspace { residual, normed, qkv, q, delta, .. } = workspace;
        let before = (!is_first).then_some(delta);
        rows::add_rms_norm(residual, before, rms(&self.input_layernorm)?, normed)?;
        let bias = self.qkv_proj.product_into(normed, qkv)?;
        let angles = (&places.cos, &places.sin);
        let cache = self.paged(&places.tables);
        let sequences = places.sequences.as_ref();
        attention::rope_cache(qkv, bias, angles, &places.positions, sequences, cache, q)
    }

    /// What follows the queries, where it `is_probed` by every kernel that serves many rows.
    fn finish_fused(
        &self,
        workspace: &Workspace,
        places: &Places,
        scratch: &Scratch,
        is_probed: bool,
    ) -> Result<()> {
        let Workspace { residual, normed, q, attended, delta, gate_up, inner, .. } = workspace;
        let mut beside = false;
        for piece in &places.pieces {
            self.attend_piece(*piece, q, places, scratch, beside, attended)?;
            beside = !piece.is_of_single_rows();
        }
        self.o_proj.product_into(attended, delta)?;
        rows::add_rms_norm(residual, Some(delta), rms(&self.post_attention_layernorm)?, normed)?;
        if self.gate_up_proj.swiglu_into(normed, inner, is_probed)? {
            return self.down_proj.product_into(inner, delta).map(drop);
        }
        self.gate_up_proj.product_into(normed, gate_up)?;
        self.down_proj.swiglu_product_into(gate_up, inner, delta)
    }

    /// `beside` the piece before, if that is of several rows, too.
    fn attend_piece(
        &self,
        piece: Piece,
        q: &Tensor,
        places: &Places,
        scratch: &Scratch,
        beside: bool,
        out: &Tensor,
    ) -> Result<()> {
        let Piece { first_row, rows, first_sequence, sequences } = piece;
        let tables = places.tables.narrow(0, first_sequence, sequences)?;
        let (q, out) = (q.narrow(0, first_row, rows)?, out.narrow(0, first_row, rows)?);
        let cache = self.paged(&tables);
        if piece.is_of_single_rows() {
            let lengths = places.lengths.narrow(0, first_sequence, sequences)?;
            return attention::decode_attention(&q, cache, &lengths, places.span, scratch, &out);
        }
        let positions = places.positions.narrow(0, first_row, rows)?;
        attention::prefill_attention(&q, cache, &positions, beside, &out)
    }

    fn paged<'a>(&'a self, tables: &'a Tensor) -> Paged<'a> {
        Paged { keys: &self.cache.keys, values: &self.cache.values, tables }
    }

    /// Whether a product of the rows of `workspace` allocates memory of its own.
    fn allocates(&self, workspace: &Workspace) -> bool {
        let Workspace { normed, attended, inner, .. } = workspace;
        [
            (&self.qkv_proj, normed),
            (&self.o_proj, attended),
            (&self.gate_up_proj, normed),
            (&self.down_proj, inner),
        ]
        .iter()
        .any(|(linear, x)| linear.allocates(x))
    }
}

/// Where rows that end belong, if there are any: to what follows the last cache they are sequences of one row.
fn places_of_ends(stack: &Stack<'_>, ends: Option<&Ends<'_>>) -> Result<Option<Places>> {
    let ends = ends.filter(|ends| !ends.is_empty());
    let (Some(ends), Some(home)) = (ends, stack.homes.layers.last()) else { return Ok(None) };
    let rope = &stack.ropes[&home.index];
    match Places::new(&ends.sequences, rope, home.candle_device())? {
        Some(places) => Ok(Some(places)),
        None => bail!("rows end behind those that are taken in"),
    }
}

fn rms(norm: &Norm) -> Result<(&Tensor, f32)> {
    norm.rms().ok_or_else(|| candle_core::Error::Msg("the decoder's norms have no bias".to_owned()))
}
