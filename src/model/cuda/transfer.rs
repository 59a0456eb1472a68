//! Values on their way to a GPU and back, through page-locked memory, which the device reads and writes by
//! itself. A copy from ordinary memory is made by one thread of the driver, and a page of thirteen tiles takes it
//! 6 ms in which the GPU waits; a copy to ordinary memory waits for the device.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda_backend::WrapErr as _;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, CudaStream, PinnedHostSlice, result};
use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::argument::{Argument, address};
use super::launch::{Grid, Module, buffer, expect, launch, module};
use super::tokens::CHOICE_WORDS;
use super::vision::{self, SAMPLES};

const TRANSFER: Module = module!("transfer");

/// Threads of a block, each of which has a word.
const THREADS: usize = 256;
/// Bytes that a thread copies at a time.
const PIECE: usize = 1 << 18;

/// Page-locked memory, as much as was needed at once so far.
#[derive(Debug, Default)]
pub(in crate::model) struct Staging {
    memory: Option<PinnedHostSlice<u8>>,
    /// The copy that reads the memory last.
    copied: Option<CudaEvent>,
}

impl Staging {
    /// The values of `parts`, one behind the other, as a new f32 tensor of `shape`, `[tiles, channels, side, side]`,
    /// on `device`; none where that is no GPU, or has no kernel for it. `values` has what samples stand for, `[channels, 256]`. Does not wait
    /// for the GPU, but for the copy before.
    pub(in crate::model) fn upload(
        &mut self,
        parts: &[&[u8]],
        values: &[f32],
        shape: impl Into<Shape>,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        if !device.is_cuda() {
            return Ok(None);
        }
        let shape = shape.into();
        let (_, channels, side, width) = shape.dims4()?;
        if !vision::takes_samples(side * width) {
            return Ok(None);
        }
        let count: usize = parts.iter().map(|part| part.len()).sum();
        if count != shape.elem_count() || values.len() != channels * SAMPLES {
            bail!("{count} samples for {shape:?}, and {} values", values.len());
        }
        // The table travels with the samples: it begins where a number may.
        let at = count.next_multiple_of(size_of::<f32>());
        let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let padding = [0; size_of::<f32>()];
        let all: Vec<&[u8]> =
            parts.iter().copied().chain([&padding[..at - count], &values]).collect();
        let bytes = self.copy(&all, at + values.len(), device)?;
        let pixels = buffer(device, shape, DType::F32)?;
        vision::sample_values(&bytes, at, &pixels)?;
        Ok(Some(pixels))
    }

    /// `parts`, one behind the other, as a new tensor of `count` bytes.
    #[expect(unsafe_code, reason = "page-locked memory, and the driver's copy from it")]
    fn copy(&mut self, parts: &[&[u8]], count: usize, device: &Device) -> Result<Tensor> {
        let cuda = device.as_cuda_device()?;
        let stream = cuda.cuda_stream();
        if let Some(copied) = self.copied.take() {
            copied.synchronize().w()?;
        }
        let memory = match self.memory.take() {
            Some(memory) if memory.len() >= count => memory,
            // SAFETY: what is read of it was written before.
            _ => unsafe { stream.context().alloc_pinned::<u8>(count) }.w()?,
        };
        let memory = self.memory.insert(memory);
        let bytes = &mut memory.as_mut_slice().w()?[..count];
        let mut rest = &mut *bytes;
        for part in parts {
            let (to, behind) = rest.split_at_mut(part.len());
            let pieces = to.par_chunks_mut(PIECE).zip(part.par_chunks(PIECE));
            pieces.for_each(|(to, from)| to.copy_from_slice(from));
            rest = behind;
        }
        let tensor = buffer(device, count, DType::U8)?;
        {
            let (storage, layout) = tensor.storage_and_layout();
            let (pointer, _writing) = address(&storage, layout, &stream)?;
            stream.context().bind_to_thread().w()?;
            // SAFETY: the tensor has room for the bytes, and they stay as they are until the event below
            // has passed: nothing is written before that is awaited.
            unsafe { result::memcpy_htod_async(pointer, bytes, stream.cu_stream()) }.w()?;
        }
        self.copied = Some(stream.record_event(None).w()?);
        Ok(tensor)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // The memory is freed next.
        if let Some(copied) = self.copied.take()
            && let Err(error) = copied.synchronize()
        {
            // At the end of the process the driver may be gone already.
            tracing::debug!(%error, "a copy to a GPU was not awaited");
        }
    }
}

/// A thread for each word.
fn grid(words: usize) -> Grid {
    Grid { blocks: [words.div_ceil(THREADS), 1, 1], threads: THREADS, shared_bytes: 0 }
}

/// Page-locked memory for words that go to a device, used again and again.
#[derive(Debug, Clone, Default)]
pub(in crate::model) struct Uploads(Arc<Mutex<Vec<Upload>>>);

/// Words that a device reads, or has read.
#[derive(Debug)]
struct Upload {
    /// None once it was taken for others.
    memory: Option<PinnedHostSlice<u32>>,
    copied: CudaEvent,
}

/// Page-locked memory for words that come back, used again and again.
#[derive(Debug, Clone)]
pub(in crate::model) struct Downloads {
    free: Arc<Mutex<Vec<PinnedHostSlice<u32>>>>,
    /// Of each piece.
    words: usize,
}

/// Words that a device writes to the host's memory once it comes to it.
#[derive(Debug)]
pub(in crate::model) struct Download {
    /// None once it was given back.
    memory: Option<PinnedHostSlice<u32>>,
    words: usize,
    copied: CudaEvent,
    free: Arc<Mutex<Vec<PinnedHostSlice<u32>>>>,
}

/// Tokens of a step that is begun before they are known.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Following<'a> {
    /// u32, `[rows, CHOICE_WORDS]`: what the step before chooses.
    pub(in crate::model) choices: &'a Tensor,
    /// How many of the first words are tokens: each is the row whose choice it becomes, or none of them.
    pub(in crate::model) tokens: usize,
}

impl Uploads {
    /// Copies the words that `fill` writes to `to`, in the order of the device's stream. `fill` finds anything
    /// there. Waits for nothing.
    #[expect(unsafe_code, reason = "the driver's copy from page-locked memory")]
    pub(in crate::model) fn start(
        &self,
        to: &Tensor,
        fill: impl FnOnce(&mut [u32]) -> Result<()>,
    ) -> Result<()> {
        let bytes = to.elem_count() * to.dtype().size_in_bytes();
        if !bytes.is_multiple_of(size_of::<u32>()) {
            bail!("words for {bytes} bytes");
        }
        let stream = to.device().as_cuda_device()?.cuda_stream();
        self.lend(&stream, bytes / size_of::<u32>(), fill, |values| {
            let (storage, layout) = to.storage_and_layout();
            let (pointer, _writing) = address(&storage, layout, &stream)?;
            stream.context().bind_to_thread().w()?;
            // SAFETY: the tensor has room for the words, and they stay as they are until the copy is done.
            unsafe { result::memcpy_htod_async(pointer, values, stream.cu_stream()) }.w()
        })
    }

    /// Puts `values` where `inputs`, u32, begins, as [`start`](Self::start) would, but by a kernel, which has them there sooner:
    /// it reads them while those before it run. Kernels behind it may read the inputs before they wait for it, once one has
    /// been launched [behind all](super::launch::launch_behind_all).
    #[expect(unsafe_code, reason = "a kernel launch")]
    pub(in crate::model) fn take(
        &self,
        values: &[u32],
        inputs: &Tensor,
        following: Option<Following<'_>>,
    ) -> Result<()> {
        let words = values.len();
        if words > inputs.elem_count() || inputs.dtype() != DType::U32 {
            bail!("{words} words for {:?} {:?}", inputs.dtype(), inputs.shape());
        }
        let choices = following.map(|following| following.choices);
        let chosen = choices.map_or(Ok(0), |choices| choices.dim(0))?;
        if let Some(choices) = choices {
            expect(choices, &[chosen, CHOICE_WORDS], DType::U32)?;
        }
        let tokens = following.map_or(0, |following| following.tokens);
        let device = inputs.device().as_cuda_device()?;
        let fill = |to: &mut [u32]| {
            to.copy_from_slice(values);
            Ok(())
        };
        self.lend(&device.cuda_stream(), words, fill, |values| {
            let arguments = [
                Argument::Host(values.as_ptr()),
                Argument::Tensor(inputs),
                choices.into(),
                Argument::Int(chosen),
                Argument::Int(tokens),
                Argument::Int(words),
            ];
            // SAFETY: there are so many words on both sides, and so many rows of choices; the words stay as they are until
            // the kernel has ended.
            unsafe { launch(device, &TRANSFER, "take", grid(words), &arguments) }
        })
    }

    /// Puts what reads the words that `fill` writes on the stream. They stay as they are until that is done.
    #[expect(unsafe_code, reason = "page-locked memory")]
    fn lend(
        &self,
        stream: &Arc<CudaStream>,
        words: usize,
        fill: impl FnOnce(&mut [u32]) -> Result<()>,
        read: impl FnOnce(&[u32]) -> Result<()>,
    ) -> Result<()> {
        let known = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = |known: &Upload| known.has_room(words) && known.copied.is_complete();
            let at = all.iter().position(fits);
            at.and_then(|at| all.swap_remove(at).memory.take())
        };
        let mut memory = if let Some(memory) = known {
            memory
        } else {
            // Of few sizes, so that steps of any number of rows find one.
            let room = words.next_power_of_two();
            // SAFETY: what is read of it was written before.
            unsafe { stream.context().alloc_pinned::<u32>(room) }.w()?
        };
        fill(&mut memory.as_mut_slice().w()?[..words])?;
        read(&memory.as_slice().w()?[..words])?;
        let copied = stream.record_event(None).w()?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Upload { memory: Some(memory), copied });
        Ok(())
    }
}

impl Upload {
    fn has_room(&self, words: usize) -> bool {
        self.memory.as_ref().is_some_and(|memory| memory.len() >= words)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // The memory is freed next.
        if self.memory.is_some()
            && let Err(error) = self.copied.synchronize()
        {
            tracing::debug!(%error, "a copy to a GPU was not awaited");
        }
    }
}

impl Downloads {
    /// For tensors of at most so many words.
    pub(in crate::model) fn new(words: usize) -> Self {
        Self { free: Arc::default(), words }
    }

    /// Begins to bring over `from`, u32, as it is when the device comes to it. Waits for nothing.
    #[expect(unsafe_code, reason = "page-locked memory, and a kernel launch")]
    pub(in crate::model) fn start(&self, from: &Tensor) -> Result<Download> {
        let words = from.elem_count();
        if words > self.words || from.dtype() != DType::U32 {
            bail!("{words} {:?} to be read, not {} words", from.dtype(), self.words);
        }
        let device = from.device().as_cuda_device()?;
        let stream = device.cuda_stream();
        let known = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut memory = match known {
            Some(memory) => memory,
            // SAFETY: what is read of it was written before. Without flags: it is for reading.
            None => {
                unsafe { stream.context().alloc_pinned_with_flags::<u32>(self.words, 0) }.w()?
            }
        };
        let told = memory.as_mut_slice().w()?.as_mut_ptr();
        let arguments = [Argument::Tensor(from), Argument::Host(told), Argument::Int(words)];
        // SAFETY: both have room for the words; the memory is neither read nor given away before the event below has
        // passed.
        unsafe { launch(device, &TRANSFER, "tell", grid(words), &arguments) }?;
        let copied = stream.record_event(None).w()?;
        Ok(Download { memory: Some(memory), words, copied, free: Arc::clone(&self.free) })
    }
}

impl Download {
    /// Waits until they are there.
    pub(in crate::model) fn wait(self) -> Result<Vec<u32>> {
        self.copied.synchronize().w()?;
        let memory = self.memory.as_ref();
        let words = memory.map(|memory| memory.as_slice()).transpose().w()?;
        Ok(words.map_or_else(Vec::new, |words| words[..self.words].to_vec()))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // The device may still write it.
        if let Err(error) = self.copied.synchronize() {
            tracing::debug!(%error, "a copy from a GPU was not awaited");
        }
        if let Some(memory) = self.memory.take() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs a GPU; where there is none it says so and is over.
    #[test]
    fn words_reach_a_device_and_come_back() {
        let Ok(device) = Device::new_cuda(0) else {
            eprintln!("not run: it needs a GPU");
            return;
        };
        let (uploads, downloads) = (Uploads::default(), Downloads::new(3000));
        for words in [1, 255, 256, 257, 2999] {
            let inputs = buffer(&device, 3000, DType::U32).unwrap();
            uploads.take(&vec![7; 3000], &inputs, None).unwrap();
            let values: Vec<u32> = (0..words as u32).map(|word| word * 3 + 1).collect();
            uploads.take(&values, &inputs, None).unwrap();
            let expected = [values, vec![7; 3000 - words]].concat();
            assert_eq!(downloads.start(&inputs).unwrap().wait().unwrap(), expected);
        }
        let inputs = buffer(&device, 3, DType::U32).unwrap();
        assert!(uploads.take(&[1; 4], &inputs, None).is_err());
        assert!(downloads.start(&buffer(&device, 3001, DType::U32).unwrap()).is_err());
    }

    /// Needs a GPU; where there is none it says so and is over.
    #[test]
    fn a_token_becomes_what_its_row_chose() {
        let Ok(device) = Device::new_cuda(0) else {
            eprintln!("not run: it needs a GPU");
            return;
        };
        let (uploads, downloads) = (Uploads::default(), Downloads::new(8));
        let rows: Vec<u32> = (0..3 * CHOICE_WORDS as u32).map(|word| 100 + word).collect();
        let choices = Tensor::new(rows, &device).unwrap().reshape((3, CHOICE_WORDS)).unwrap();
        let inputs = buffer(&device, 7, DType::U32).unwrap();
        // Rows 2 and 0, a row that there is not, nothing, and behind the tokens a number like that of a row.
        let values = [2, 0, 3, u32::MAX, 1, 0, 50];
        let following = Following { choices: &choices, tokens: 4 };
        uploads.take(&values, &inputs, Some(following)).unwrap();
        let words = downloads.start(&inputs).unwrap().wait().unwrap();
        let chosen = |row: u32| 100 + row * CHOICE_WORDS as u32;
        assert_eq!(words, [chosen(2), chosen(0), 3, u32::MAX, 1, 0, 50]);
    }
}
