//! Launches the kernels of `hopper_attention.cu`: attention of many queries, on compute capability 9.0.

use candle_core::{Result, Tensor, bail};

use super::argument::{Argument, BOX_BYTES};
use super::attention::Paged;
use super::hopper;
use super::launch::{Grid, Module, launch, module, suffix};

const ATTENTION: Module = module!("hopper_attention");

// As in the kernels.
const KEYS: usize = 128;
const BOX_KEYS: usize = 64;
const STAGES: usize = 3;
const GROUP_THREADS: usize = 128;
/// Queries of a group.
const GROUP_QUERIES: usize = 64;
/// Queries up to which a launch beside the one before it is faster: more fill the GPU for long enough.
const BESIDE_QUERIES_MAX: usize = 2048;

/// Groups of a block; none where heads of this width have no kernel.
fn groups(head_dim: usize) -> Option<usize> {
    match head_dim {
        64 => Some(3),
        128 => Some(2),
        _ => None,
    }
}

/// Whether queries that lie on this device, of this dtype and width, have a kernel.
pub(super) fn takes(q: &Tensor, head_dim: usize) -> Result<bool> {
    let Ok(device) = q.device().as_cuda_device() else { return Ok(false) };
    Ok(groups(head_dim).is_some() && hopper::takes(device, q.dtype())?)
}

/// As [`takes`], for a cache with blocks of so many tokens.
pub(super) fn takes_paged(q: &Tensor, head_dim: usize, block_tokens: usize) -> Result<bool> {
    Ok(block_tokens == BOX_KEYS && takes(q, head_dim)?)
}

/// Threads of a block, its queries, and its shared memory.
fn block(head_dim: usize) -> Result<(usize, usize, usize)> {
    let Some(groups) = groups(head_dim) else { bail!("heads of {head_dim} have no kernel") };
    let tiles = STAGES * 2 * KEYS * head_dim * 2;
    let queries = groups * GROUP_QUERIES;
    let shared_bytes = 1024 + tiles + queries * head_dim * 2 + STAGES * 16;
    Ok(((groups + 1) * GROUP_THREADS, queries, shared_bytes))
}

/// As [`attention::prefill_attention`](super::attention::prefill_attention), which has checked the sizes; the cache is one that
/// [`takes_paged`] takes, and the launch before this one was of this kernel if this may run `beside` that.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(super) fn prefill_attention(
    q: &Tensor,
    cache: Paged<'_>,
    positions: &Tensor,
    beside: bool,
    out: &Tensor,
) -> Result<()> {
    let dtype = q.dtype();
    let sizes = cache.sizes(dtype)?;
    let (rows, heads, head_dim) = q.dims3()?;
    let (threads, queries, shared_bytes) = block(head_dim)?;
    let blocks = [heads, rows.div_ceil(queries), 1];
    let device = q.device().as_cuda_device()?;
    // All rows of the cache, one below the other.
    let all = (sizes.blocks * sizes.kv_heads * BOX_KEYS, head_dim);
    let (keys, values) = (cache.keys.reshape(all)?, cache.values.reshape(all)?);
    let arguments = [
        Argument::Tensor(q),
        Argument::Boxes(&keys, BOX_KEYS, BOX_BYTES),
        Argument::Boxes(&values, BOX_KEYS, BOX_BYTES),
        Argument::Tensor(cache.tables),
        Argument::Tensor(positions),
        Argument::Tensor(out),
        Argument::Int(rows),
        Argument::Int(sizes.kv_heads),
        Argument::Int(sizes.table_blocks),
        Argument::Int(sizes.blocks),
        Argument::Float(1.0 / (head_dim as f32).sqrt()),
        Argument::Int(usize::from(beside && rows <= BESIDE_QUERIES_MAX)),
    ];
    let name = format!("hopper_prefill_attention_{}_{head_dim}", suffix(dtype)?);
    let grid = Grid { blocks, threads, shared_bytes };
    // SAFETY: sizes are checked by the caller. The copy engine reads whole blocks that there are, and the kernel writes the
    // rows that there are.
    unsafe { launch(device, &ATTENTION, &name, grid, &arguments) }
}

/// As [`attention::full_attention`](super::attention::full_attention), which has checked the sizes.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(super) fn full_attention(qkv: &Tensor, bias: Option<&Tensor>, out: &Tensor) -> Result<()> {
    let dtype = qkv.dtype();
    let (batch, rows, _, heads, head_dim) = qkv.dims5()?;
    let (threads, queries, shared_bytes) = block(head_dim)?;
    let blocks = [rows.div_ceil(queries), heads, batch];
    let device = qkv.device().as_cuda_device()?;
    let matrix = qkv.reshape((batch * rows, 3 * heads * head_dim))?;
    let arguments = [
        Argument::Tensor(qkv),
        Argument::Boxes(&matrix, BOX_KEYS, BOX_BYTES),
        bias.into(),
        Argument::Tensor(out),
        Argument::Int(rows),
        Argument::Float(1.0 / (head_dim as f32).sqrt()),
    ];
    let name = format!("hopper_full_attention_{}_{head_dim}", suffix(dtype)?);
    let grid = Grid { blocks, threads, shared_bytes };
    // SAFETY: the grid covers the rows, heads and batch of `qkv`; the copy engine reads within the matrix, and rows
    // beyond are not written.
    unsafe { launch(device, &ATTENTION, &name, grid, &arguments) }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::model::cache::{CacheShape, LayerCache};

    /// As one after the other, again and again: what begins too soon shows by chance. Needs a GPU of compute capability 9.0;
    /// where there is none it says so and is over.
    #[test]
    fn prompts_attend_beside_each_other() {
        const PROMPTS: usize = 5;
        const BLOCKS: usize = 10;
        const TOKENS: usize = BLOCKS * BOX_KEYS - 7;
        let Some(device) = hopper::gpu_for_tests() else { return };
        let (heads, kv_heads, head_dim) = (28, 4, 128);
        let random = |rows: usize, heads: usize| {
            let values = Tensor::randn(0f32, 1f32, (rows, heads, head_dim), &device).unwrap();
            values.to_dtype(DType::BF16).unwrap()
        };
        let shape = CacheShape { blocks: PROMPTS * BLOCKS, kv_heads, head_dim };
        let cache = LayerCache::new(shape, DType::BF16, &device).unwrap();
        let table: Vec<u32> = (0..(PROMPTS * BLOCKS) as u32).collect();
        for blocks in table.chunks(BLOCKS) {
            let k = random(TOKENS, kv_heads).transpose(0, 1).unwrap();
            cache.write(blocks, 0, &k, &k).unwrap();
        }
        let tables = Tensor::from_vec(table, (PROMPTS, BLOCKS), &device).unwrap();
        let positions = Tensor::arange(0, TOKENS as u32, &device).unwrap();
        let attend = |q: &Tensor, beside: bool| {
            let shape = (PROMPTS * TOKENS, heads * head_dim);
            let out = Tensor::zeros(shape, DType::BF16, &device).unwrap();
            for prompt in 0..PROMPTS {
                let of = |tensor: &Tensor| tensor.narrow(0, prompt * TOKENS, TOKENS).unwrap();
                let tables = tables.narrow(0, prompt, 1).unwrap();
                let paged = Paged { keys: &cache.keys, values: &cache.values, tables: &tables };
                let beside = beside && prompt > 0;
                prefill_attention(&of(q), paged, &positions, beside, &of(&out)).unwrap();
            }
            // By a kernel that waits for the last of them alone.
            (out + 0.0).unwrap().to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap()
        };
        for turn in 0..8 {
            let q = random(PROMPTS * TOKENS, heads);
            assert!(attend(&q, true) == attend(&q, false), "turn {turn}");
        }
    }

    #[test]
    fn a_block_fits() {
        for head_dim in [64, 128] {
            let (threads, _, shared_bytes) = block(head_dim).unwrap();
            assert!(threads <= 512 && shared_bytes <= 232_448, "{head_dim}: {shared_bytes}");
        }
    }

    /// A picture beside others reads its own rows alone, also where its neighbour's are not finite.
    #[test]
    fn a_neighbour_s_numbers_do_not_reach_a_picture() {
        let Ok(device) = Device::new_cuda(0) else {
            eprintln!("skipped: there is no GPU");
            return;
        };
        let (rows, heads, d) = (1025, 2, 64);
        let one = Tensor::randn(0f32, 1f32, (1, rows, 3, heads, d), &device).unwrap();
        let one = one.to_dtype(DType::BF16).unwrap();
        if !takes(&one, d).unwrap() {
            eprintln!("skipped: the GPU is of another kind");
            return;
        }
        let bad = (one.ones_like().unwrap() * f64::NAN).unwrap();
        let attend = |qkv: &Tensor| {
            let batch = qkv.dim(0).unwrap();
            let out = Tensor::zeros((batch, rows, heads * d), DType::BF16, &device).unwrap();
            full_attention(qkv, None, &out).unwrap();
            let first = out.narrow(0, 0, 1).unwrap().to_dtype(DType::F32).unwrap();
            first.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let alone = attend(&one);
        assert!(alone.iter().all(|value| value.is_finite()));
        assert_eq!(attend(&Tensor::cat(&[&one, &bad], 0).unwrap()), alone);
    }
}
