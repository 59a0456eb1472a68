//! What a kernel launch needs: arguments as the driver takes them, and memory for results.

use std::sync::Arc;

use candle_core::backend::BackendDevice as _;
use candle_core::cuda_backend::cudarc::driver::sys::CUdevice_attribute as Attribute;
use candle_core::cuda_backend::cudarc::driver::sys::CUfunction_attribute_enum as FunctionAttribute;
use candle_core::cuda_backend::cudarc::driver::{
    CudaStream, DevicePtr as _, DevicePtrMut as _, LaunchConfig, PushKernelArg as _, SyncOnDrop,
};
use candle_core::cuda_backend::{CudaStorageSlice, WrapErr as _};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Result, Shape, Storage, Tensor, bail};

/// Kernels load rows in pieces of this many bytes.
const ALIGNMENT: usize = 16;

/// A file of kernels, compiled by `build.rs` for this build's compute capability.
pub(super) struct Module {
    pub(super) name: &'static str,
    pub(super) ptx: &'static str,
}

/// Blocks, threads of each, and the bytes of shared memory that it asks for.
pub(super) struct Grid {
    pub(super) blocks: [usize; 3],
    pub(super) threads: usize,
    pub(super) shared_bytes: usize,
}

/// An argument of a kernel.
pub(super) enum Argument<'a> {
    /// The address of the first element; the tensor is contiguous. A kernel may also write there:
    /// into a cache, or into scratch memory.
    Tensor(&'a Tensor),
    Output(&'a mut Output),
    /// A null pointer.
    Nothing,
    Int(usize),
    Float(f32),
}

/// What a kernel writes, and nothing has written yet.
pub(super) struct Output {
    storage: CudaStorage,
    shape: Shape,
}

impl Output {
    /// # Safety
    ///
    /// A kernel writes all of it before it becomes a tensor that is read.
    #[expect(unsafe_code, reason = "memory that is not yet written")]
    pub(super) unsafe fn new(
        device: &CudaDevice,
        shape: impl Into<Shape>,
        dtype: DType,
    ) -> Result<Self> {
        let shape = shape.into();
        // SAFETY: the caller's promise.
        let storage = unsafe { device.alloc_uninit(&shape, dtype) }?;
        Ok(Self { storage, shape })
    }

    pub(super) fn into_tensor(self) -> Tensor {
        Tensor::from_storage(Storage::Cuda(self.storage), self.shape, BackpropOp::none(), false)
    }
}

impl<'a> From<Option<&'a Tensor>> for Argument<'a> {
    fn from(tensor: Option<&'a Tensor>) -> Self {
        tensor.map_or(Self::Nothing, Self::Tensor)
    }
}

/// An argument as the driver reads it.
enum Value {
    Pointer(u64),
    Int(i32),
    Float(f32),
}

/// Asks the driver about the GPU.
pub(super) fn attribute(device: &CudaDevice, attribute: Attribute) -> Result<usize> {
    device.cuda_stream().context().attribute(attribute).map(|value| value as usize).w()
}

/// Launches kernel `name` on the device's stream.
///
/// # Safety
///
/// The arguments are those of the kernel, in number, order and type, and the kernel reads and writes
/// only what they hold.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(super) unsafe fn launch(
    device: &CudaDevice,
    module: &Module,
    name: &str,
    grid: Grid,
    arguments: &mut [Argument<'_>],
) -> Result<()> {
    let function = device.get_or_load_custom_func(name, module.name, module.ptx)?;
    if grid.shared_bytes > 0 {
        let limit = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        function.set_attribute(limit, grid.shared_bytes as i32).w()?;
    }
    let stream = device.cuda_stream();
    let locked: Vec<_> = arguments
        .iter()
        .filter_map(|argument| match argument {
            Argument::Tensor(tensor) => Some(tensor.storage_and_layout()),
            _ => None,
        })
        .collect();
    let mut tensors = locked.iter();
    let mut values = Vec::with_capacity(arguments.len());
    // Kept until after the launch: they tell other streams when it is done.
    let mut accesses = Vec::with_capacity(arguments.len());
    for argument in arguments {
        values.push(match argument {
            Argument::Tensor(_) => {
                let Some((storage, layout)) = tensors.next() else { bail!("a tensor is missing") };
                let Storage::Cuda(storage) = &**storage else { bail!("{name}: not on this GPU") };
                let Some((start, _)) = layout.contiguous_offsets() else {
                    bail!("{name} takes contiguous tensors")
                };
                let (pointer, access) = read_pointer(storage, &stream)?;
                accesses.push(access);
                let offset = start * storage.dtype_bytes();
                if storage.is_number() && !offset.is_multiple_of(ALIGNMENT) {
                    bail!("{name} takes rows that begin at {ALIGNMENT}-byte boundaries");
                }
                Value::Pointer(pointer + offset as u64)
            }
            Argument::Output(output) => {
                let (pointer, access) = write_pointer(&mut output.storage, &stream)?;
                accesses.push(access);
                Value::Pointer(pointer)
            }
            Argument::Nothing => Value::Pointer(0),
            Argument::Int(value) => Value::Int(i32::try_from(*value)?),
            Argument::Float(value) => Value::Float(*value),
        });
    }
    let mut builder = function.builder();
    for value in &values {
        match value {
            Value::Pointer(value) => builder.arg(value),
            Value::Int(value) => builder.arg(value),
            Value::Float(value) => builder.arg(value),
        };
    }
    let [x, y, z] = grid.blocks.map(|blocks| blocks as u32);
    let config = LaunchConfig {
        grid_dim: (x, y, z),
        block_dim: (grid.threads as u32, 1, 1),
        shared_mem_bytes: grid.shared_bytes as u32,
    };
    // SAFETY: the caller's promise; pointers are live, because tensors are locked and outputs lent.
    unsafe { builder.launch(config) }.w()?;
    Ok(())
}

trait Elements {
    fn dtype_bytes(&self) -> usize;
    /// Numbers are loaded in pieces, indices one by one.
    fn is_number(&self) -> bool;
}

impl Elements for CudaStorage {
    fn dtype_bytes(&self) -> usize {
        use candle_core::backend::BackendStorage as _;
        self.dtype().size_in_bytes()
    }

    fn is_number(&self) -> bool {
        !matches!(self.slice, CudaStorageSlice::U32(_))
    }
}

fn read_pointer<'a>(
    storage: &'a CudaStorage,
    stream: &'a Arc<CudaStream>,
) -> Result<(u64, SyncOnDrop<'a>)> {
    Ok(match &storage.slice {
        CudaStorageSlice::U32(slice) => slice.device_ptr(stream),
        CudaStorageSlice::F16(slice) => slice.device_ptr(stream),
        CudaStorageSlice::BF16(slice) => slice.device_ptr(stream),
        CudaStorageSlice::F32(slice) => slice.device_ptr(stream),
        _ => bail!("kernels take u32, f16, bf16 and f32"),
    })
}

fn write_pointer<'a>(
    storage: &'a mut CudaStorage,
    stream: &'a Arc<CudaStream>,
) -> Result<(u64, SyncOnDrop<'a>)> {
    Ok(match &mut storage.slice {
        CudaStorageSlice::U32(slice) => slice.device_ptr_mut(stream),
        CudaStorageSlice::F16(slice) => slice.device_ptr_mut(stream),
        CudaStorageSlice::BF16(slice) => slice.device_ptr_mut(stream),
        CudaStorageSlice::F32(slice) => slice.device_ptr_mut(stream),
        _ => bail!("kernels write u32, f16, bf16 and f32"),
    })
}
