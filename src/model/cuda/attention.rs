//! Attention over the paged cache, and the rotation of keys on their way into it; also the vision tower's
//! attention.
//!
//! What changes from step to step, positions, lengths and places in the cache, is read on the device, and
//! grids depend on shapes alone: a captured graph of a step serves all steps of its shape. Kernels check
//! the indices that they read, so that a wrong one cannot reach other memory.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::argument::Argument;
use super::hopper_attention;
use super::launch::{
    GRID_MAX, Grid, Module, THREADS_MAX, VECTOR, expect, has_tensor_cores, launch, module,
    multiprocessors, suffix,
};
use super::tokens::argmax_room;

const ROPE_CACHE: Module = module!("rope_cache");
const DECODE_ATTENTION: Module = module!("decode_attention");
const PREFILL_ATTENTION: Module = module!("prefill_attention");

// As in the kernels.
const DECODE_THREADS: usize = 256;
const SPLITS_MAX: usize = 16;
/// Query heads that may share a key and value head.
pub(super) const GROUP_MAX: usize = 8;
const PREFILL_THREADS: usize = 128;
const PREFILL_QUERIES: usize = 64;
const PREFILL_KEYS: usize = 64;
const PREFILL_STAGES: usize = 2;
/// Tokens of a block of the cache are a multiple of this.
const BLOCK_TOKENS_STEP: usize = 16;
/// More tokens than a sequence has.
const ALL_FRESH: usize = i32::MAX as usize;

/// Keys of one turn of a block of the decoding kernel; fewer would leave warps idle.
const SPLIT_TOKENS: usize = 128;

/// The cache of one layer, with the places of some sequences in it.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Paged<'a> {
    /// `[blocks, kv_heads, block_tokens, head_dim]`
    pub(in crate::model) keys: &'a Tensor,
    pub(in crate::model) values: &'a Tensor,
    /// Each sequence's blocks in order, u32, `[sequences, table_blocks]`.
    pub(in crate::model) tables: &'a Tensor,
}

/// How far queries of single tokens look.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Span {
    /// Tokens of the longest sequence. It chooses the launch: a graph that is used again was captured with the most there
    /// may be.
    pub(in crate::model) longest: usize,
    /// Tokens at a sequence's end that this step puts into the cache, at most; none: it may be all of them. Those before
    /// are read while the kernels before still run.
    pub(in crate::model) fresh: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PagedSizes {
    pub(super) sequences: usize,
    pub(super) table_blocks: usize,
    pub(super) blocks: usize,
    pub(super) kv_heads: usize,
    pub(super) block_tokens: usize,
    pub(super) head_dim: usize,
}

impl Paged<'_> {
    pub(super) fn sizes(&self, dtype: DType) -> Result<PagedSizes> {
        let (blocks, kv_heads, block_tokens, head_dim) = self.keys.dims4()?;
        let (sequences, table_blocks) = self.tables.dims2()?;
        expect(self.values, self.keys.dims(), dtype)?;
        expect(self.keys, self.keys.dims(), dtype)?;
        expect(self.tables, self.tables.dims(), DType::U32)?;
        if !block_tokens.is_multiple_of(BLOCK_TOKENS_STEP) || blocks == 0 || table_blocks == 0 {
            bail!("a cache of {blocks} blocks of {block_tokens} tokens, {table_blocks} a sequence");
        }
        Ok(PagedSizes { sequences, table_blocks, blocks, kv_heads, block_tokens, head_dim })
    }
}

impl PagedSizes {
    /// As the kernels take them.
    pub(super) fn arguments<'a>(self) -> [Argument<'a>; 3] {
        [self.table_blocks, self.blocks, self.block_tokens].map(Argument::Int)
    }
}

/// Memory in which blocks of a kernel leave parts of a result for each other. One serves all layers of a
/// device: its kernels run one after the other.
#[derive(Debug)]
pub(in crate::model) struct Scratch {
    /// Zeros between kernels.
    pub(super) counters: Tensor,
    pub(super) partial: Tensor,
    extents: Tensor,
}

impl Scratch {
    /// For steps of up to `rows` sequences.
    pub(in crate::model) fn new(device: &Device, rows: usize, kv_heads: usize) -> Result<Self> {
        const HEAD_DIM_MAX: usize = 128;
        let parts = multiprocessors(device.as_cuda_device()?)?;
        let attention = parts * GROUP_MAX * HEAD_DIM_MAX;
        let argmax = argmax_room(rows, parts);
        let zeros = |count, dtype| Tensor::zeros(count, dtype, device);
        Ok(Self {
            counters: zeros(rows * kv_heads.max(1), DType::U32)?,
            partial: zeros(attention.max(argmax), DType::F32)?,
            extents: zeros(2 * parts * GROUP_MAX, DType::F32)?,
        })
    }

    pub(in crate::model) fn device(&self) -> &Device {
        self.counters.device()
    }

    pub(super) fn expect(&self, counters: usize, partial: usize) -> Result<()> {
        let (room, partial_room) = (self.counters.elem_count(), self.partial.elem_count());
        if counters > room || partial > partial_room {
            bail!("scratch memory for {room} and {partial_room}, not {counters} and {partial}");
        }
        Ok(())
    }
}

/// Whether the kernels of a decoding step are there for `compute`, and heads of this kind.
pub(in crate::model) fn takes(
    device: &Device,
    compute: DType,
    head_dim: usize,
    group: usize,
) -> bool {
    let Ok(device) = device.as_cuda_device() else { return false };
    let dtype = match compute {
        DType::F16 => true,
        DType::BF16 => has_tensor_cores(device).unwrap_or(false),
        _ => false,
    };
    dtype && matches!(head_dim, 64 | 128) && (1..=GROUP_MAX).contains(&group)
}

/// Whether [`prefill_attention`] and [`full_attention`] are there.
pub(in crate::model) fn takes_prefill(device: &Device, compute: DType, head_dim: usize) -> bool {
    let Ok(device) = device.as_cuda_device() else { return false };
    let dtype = matches!(compute, DType::F16 | DType::BF16);
    dtype && matches!(head_dim, 64 | 128) && has_tensor_cores(device).unwrap_or(false)
}

/// Adds `bias`, rotates queries and keys, and writes keys and values into the cache.
///
/// `qkv` is `[rows, (heads + 2 * kv_heads) * head_dim]`; `cos` and `sin`, f32, are
/// `[angles, head_dim / 2]`. Row i is the token at `positions[i]`, u32, of sequence `sequences[i]` of the
/// cache's tables, or of sequence i. A row whose position has no angle or no place in its table is padding
/// and writes nothing. The queries go to `q`, `[rows, heads, head_dim]`.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn rope_cache(
    qkv: &Tensor,
    bias: Option<&Tensor>,
    (cos, sin): (&Tensor, &Tensor),
    positions: &Tensor,
    sequences: Option<&Tensor>,
    cache: Paged<'_>,
    q: &Tensor,
) -> Result<()> {
    let dtype = qkv.dtype();
    let sizes = cache.sizes(dtype)?;
    let (rows, width) = qkv.dims2()?;
    let (head_dim, kv_heads) = (sizes.head_dim, sizes.kv_heads);
    let (angles, half) = cos.dims2()?;
    let heads = (width / head_dim).saturating_sub(2 * kv_heads);
    expect(q, &[rows, heads, head_dim], dtype)?;
    if heads == 0 || width != (heads + 2 * kv_heads) * head_dim {
        bail!("a qkv product of {width} columns for {kv_heads} kv heads of {head_dim}");
    }
    if half * 2 != head_dim || !half.is_multiple_of(VECTOR) || angles == 0 {
        bail!("{angles} angles of {half} for heads of {head_dim}");
    }
    expect(cos, &[angles, half], DType::F32)?;
    expect(sin, &[angles, half], DType::F32)?;
    expect(positions, &[rows], DType::U32)?;
    match sequences {
        Some(sequences) => expect(sequences, &[rows], DType::U32)?,
        None if rows == sizes.sequences => {}
        None => bail!("{rows} rows of {} sequences", sizes.sequences),
    }
    if let Some(bias) = bias {
        expect(bias, &[width], dtype)?;
    }
    let device = qkv.device().as_cuda_device()?;
    let threads = (width / (2 * VECTOR)).next_multiple_of(32).min(THREADS_MAX);
    // SAFETY: sizes are checked above. The kernel writes the cache only in blocks and positions that it
    // has, and reads angles and tables within theirs.
    unsafe {
        let mut arguments = vec![
            Argument::Tensor(qkv),
            bias.into(),
            Argument::Tensor(cos),
            Argument::Tensor(sin),
            Argument::Tensor(positions),
            sequences.into(),
            Argument::Tensor(cache.tables),
            Argument::Tensor(q),
            Argument::Tensor(cache.keys),
            Argument::Tensor(cache.values),
        ];
        arguments.extend([heads, kv_heads, head_dim, angles].map(Argument::Int));
        arguments.push(Argument::Int(sizes.sequences));
        arguments.extend(sizes.arguments());
        let name = format!("rope_cache_{}", suffix(dtype)?);
        let grid = Grid { blocks: [rows, 1, 1], threads, shared_bytes: 0 };
        launch(device, &ROPE_CACHE, &name, grid, &arguments)
    }
}

/// Attends from one query of each sequence, `[sequences, heads, head_dim]`, to the first `lengths[i]`
/// tokens of its cache, u32. `out` is `[sequences, heads * head_dim]`; a length of 0 gives zeros.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn decode_attention(
    q: &Tensor,
    cache: Paged<'_>,
    lengths: &Tensor,
    Span { longest, fresh }: Span,
    scratch: &Scratch,
    out: &Tensor,
) -> Result<()> {
    let dtype = q.dtype();
    let sizes = cache.sizes(dtype)?;
    let (sequences, heads, head_dim) = q.dims3()?;
    let kv_heads = sizes.kv_heads;
    let group = heads / kv_heads;
    let device = q.device().as_cuda_device()?;
    if !takes(q.device(), dtype, head_dim, group)
        || head_dim != sizes.head_dim
        || heads != group * kv_heads
        || sequences != sizes.sequences
        || sequences > GRID_MAX
    {
        bail!("queries {:?} have no decoding kernel for this cache: {sizes:?}", q.shape());
    }
    expect(lengths, &[sequences], DType::U32)?;
    expect(out, &[sequences, heads * head_dim], dtype)?;
    let splits = splits(multiprocessors(device)?, sequences * kv_heads, longest);
    if splits > 1 {
        let pairs = sequences * kv_heads;
        scratch.expect(pairs, pairs * splits * group * head_dim)?;
    }
    let plain = if has_tensor_cores(device)? { "" } else { "plain_" };
    // SAFETY: the grid is (splits, kv_heads, sequences) of tensors of these sizes. The kernel reads keys
    // only in blocks that there are and before the end of a table, writes every element of `out`, and
    // scratch memory as far as was checked; with one split it needs none.
    unsafe {
        let mut arguments = vec![
            Argument::Tensor(q),
            Argument::Tensor(cache.keys),
            Argument::Tensor(cache.values),
            Argument::Tensor(cache.tables),
            Argument::Tensor(lengths),
            Argument::Tensor(out),
            Argument::Tensor(&scratch.partial),
            Argument::Tensor(&scratch.extents),
            Argument::Tensor(&scratch.counters),
            Argument::Int(group),
        ];
        arguments.extend(sizes.arguments());
        arguments.push(Argument::Float(1.0 / (head_dim as f32).sqrt()));
        arguments.push(Argument::Int(fresh.unwrap_or(ALL_FRESH)));
        let name = format!("decode_attention_{plain}{}_{head_dim}", suffix(dtype)?);
        let blocks = [splits, kv_heads, sequences];
        let grid = Grid { blocks, threads: DECODE_THREADS, shared_bytes: 0 };
        launch(device, &DECODE_ATTENTION, &name, grid, &arguments)
    }
}

/// Attends causally from queries of one sequence, `[rows, heads, head_dim]`, to its cache, which holds
/// their keys already. The cache's table is `[1, table_blocks]`; `positions`, u32, begins with that of the
/// first query, and the others follow it. `out` is `[rows, heads * head_dim]`. It may run `beside` the launch before it, which
/// was of this function for another sequence of the same pass.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn prefill_attention(
    q: &Tensor,
    cache: Paged<'_>,
    positions: &Tensor,
    beside: bool,
    out: &Tensor,
) -> Result<()> {
    let dtype = q.dtype();
    let sizes = cache.sizes(dtype)?;
    let (rows, heads, head_dim) = q.dims3()?;
    let is_hopper = hopper_attention::takes_paged(q, head_dim, sizes.block_tokens)?;
    // A launch has rows for each block of its own; those of Hopper have more.
    let blocks = [heads, rows.div_ceil(PREFILL_QUERIES), 1];
    if !(is_hopper || takes_prefill(q.device(), dtype, head_dim))
        || head_dim != sizes.head_dim
        || !heads.is_multiple_of(sizes.kv_heads)
        || sizes.sequences != 1
        || blocks[1] > GRID_MAX
    {
        bail!("queries {:?} have no prefill kernel for this cache: {sizes:?}", q.shape());
    }
    expect(positions, &[rows], DType::U32)?;
    expect(out, &[rows, heads * head_dim], dtype)?;
    if is_hopper {
        return hopper_attention::prefill_attention(q, cache, positions, beside, out);
    }
    let device = q.device().as_cuda_device()?;
    // SAFETY: sizes are checked above. The kernel reads keys only in blocks that there are and before the
    // end of the table, and writes the rows that there are.
    unsafe {
        let mut arguments = vec![
            Argument::Tensor(q),
            Argument::Tensor(cache.keys),
            Argument::Tensor(cache.values),
            Argument::Tensor(cache.tables),
            Argument::Tensor(positions),
            Argument::Tensor(out),
            Argument::Int(rows),
            Argument::Int(sizes.kv_heads),
        ];
        arguments.extend(sizes.arguments());
        arguments.push(Argument::Float(1.0 / (head_dim as f32).sqrt()));
        let name = format!("prefill_attention_{}_{head_dim}", suffix(dtype)?);
        let shared_bytes = prefill_bytes(head_dim);
        let grid = Grid { blocks, threads: PREFILL_THREADS, shared_bytes };
        launch(device, &PREFILL_ATTENTION, &name, grid, &arguments)
    }
}

/// Attends from all rows to all rows of the same element of a batch: the vision tower. `qkv` is
/// `[batch, rows, 3, heads, head_dim]` and lacks `bias`, `[3 * heads * head_dim]`, if there is one. `out` is
/// `[batch, rows, heads * head_dim]`.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn full_attention(
    qkv: &Tensor,
    bias: Option<&Tensor>,
    out: &Tensor,
) -> Result<()> {
    let dtype = qkv.dtype();
    let (batch, rows, three, heads, head_dim) = qkv.dims5()?;
    let is_hopper = hopper_attention::takes(qkv, head_dim)?;
    let blocks = [rows.div_ceil(PREFILL_QUERIES), heads, batch];
    if !(is_hopper || takes_prefill(qkv.device(), dtype, head_dim))
        || three != 3
        || batch > GRID_MAX
        || heads > GRID_MAX
    {
        bail!("{:?} has no attention kernel", qkv.shape());
    }
    expect(out, &[batch, rows, heads * head_dim], dtype)?;
    if let Some(bias) = bias {
        expect(bias, &[3 * heads * head_dim], dtype)?;
    }
    if is_hopper {
        return hopper_attention::full_attention(qkv, bias, out);
    }
    let device = qkv.device().as_cuda_device()?;
    // SAFETY: the grid covers the rows, heads and batch of `qkv`, and rows beyond are not touched.
    unsafe {
        let arguments = [
            Argument::Tensor(qkv),
            bias.into(),
            Argument::Tensor(out),
            Argument::Int(rows),
            Argument::Float(1.0 / (head_dim as f32).sqrt()),
        ];
        let name = format!("full_attention_{}_{head_dim}", suffix(dtype)?);
        let shared_bytes = prefill_bytes(head_dim);
        let grid = Grid { blocks, threads: PREFILL_THREADS, shared_bytes };
        launch(device, &PREFILL_ATTENTION, &name, grid, &arguments)
    }
}

/// In how many blocks a sequence and head is cut: one for each multiprocessor. More of them wait longer
/// for each other than they gain.
fn splits(multiprocessors: usize, pairs: usize, longest: usize) -> usize {
    let wanted = multiprocessors / pairs.max(1);
    wanted.min(SPLITS_MAX).min(longest.div_ceil(SPLIT_TOKENS)).max(1)
}

/// Two stages of keys and values.
fn prefill_bytes(head_dim: usize) -> usize {
    PREFILL_STAGES * 2 * PREFILL_KEYS * head_dim * 2
}
