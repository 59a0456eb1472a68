//! Launching kernels: finding them, memory for results, and what the kernels' callers ask of a GPU.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use candle_core::backend::BackendDevice as _;
use candle_core::cuda_backend::WrapErr as _;
use candle_core::cuda_backend::cudarc::driver::sys;
use candle_core::cuda_backend::cudarc::driver::sys::CUdevice_attribute as Attribute;
use candle_core::cuda_backend::cudarc::driver::sys::CUfunction_attribute_enum as FunctionAttribute;
use candle_core::cuda_backend::cudarc::driver::{CudaStream, result};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, DType, Device, Error, Result, Shape, Storage, Tensor, bail};

use super::argument::{Argument, Value, address, boxes};

/// A file of kernels by its name.
macro_rules! module {
    ($name:literal) => {
        $crate::model::cuda::launch::Module {
            name: concat!("tessera-", $name),
            image: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".kernels")),
        }
    };
}
pub(super) use module;

/// What kernels load at once, in elements of 16 bits.
pub(super) const VECTOR: usize = 8;
pub(super) const THREADS_MAX: usize = 1024;
/// Largest second and third dimension of a grid.
pub(super) const GRID_MAX: usize = 65_535;

/// A file of kernels, compiled by `build.rs`.
pub(super) struct Module {
    pub(super) name: &'static str,
    /// PTX with a zero behind it, or machine code; empty where this build has none.
    pub(super) image: &'static [u8],
}

/// Blocks, threads of each, and the bytes of shared memory that it asks for.
pub(super) struct Grid {
    pub(super) blocks: [usize; 3],
    pub(super) threads: usize,
    pub(super) shared_bytes: usize,
}

/// Memory for a result, which nothing has written yet.
///
/// # Safety
///
/// Kernels write all of it before any of it is read.
#[expect(unsafe_code, reason = "memory that is not yet written")]
pub(super) unsafe fn uninit(
    device: &CudaDevice,
    shape: impl Into<Shape>,
    dtype: DType,
) -> Result<Tensor> {
    let shape = shape.into();
    // SAFETY: the caller's promise.
    let storage = unsafe { device.alloc_uninit(&shape, dtype) }?;
    Ok(Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false))
}

/// Asks the driver about the GPU.
pub(super) fn attribute(device: &CudaDevice, attribute: Attribute) -> Result<usize> {
    device.cuda_stream().context().attribute(attribute).map(|value| value as usize).w()
}

/// Launches kernel `name` on the device's stream.
///
/// # Safety
///
/// As of [`launch_clusters`].
#[expect(unsafe_code, reason = "a kernel launch")]
pub(super) unsafe fn launch(
    device: &CudaDevice,
    module: &Module,
    name: &str,
    grid: Grid,
    arguments: &[Argument<'_>],
) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe { launch_clusters(device, module, name, grid, 1, arguments) }
}

/// As [`launch`], but no block of it takes its place before all that comes before it on the stream has ended; so it comes
/// between what follows it and what is before it.
///
/// # Safety
///
/// As of [`launch_clusters`].
#[expect(unsafe_code, reason = "a kernel launch")]
pub(super) unsafe fn launch_behind_all(
    device: &CudaDevice,
    module: &Module,
    name: &str,
    grid: Grid,
    arguments: &[Argument<'_>],
) -> Result<()> {
    let way = Way { may_overlap: false, cluster: 1 };
    // SAFETY: the caller's promise.
    unsafe { launch_so(device, module, name, grid, way, arguments) }
}

/// As [`launch`]; `cluster` blocks with successive first indices run together.
///
/// # Safety
///
/// The arguments are those of the kernel, in number, order and type, and the kernel reads and writes
/// only what they hold.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(super) unsafe fn launch_clusters(
    device: &CudaDevice,
    module: &Module,
    name: &str,
    grid: Grid,
    cluster: usize,
    arguments: &[Argument<'_>],
) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe { launch_so(device, module, name, grid, Way { may_overlap: true, cluster }, arguments) }
}

/// How a kernel's blocks take their places.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// While the kernel before it runs, where the GPU can.
    may_overlap: bool,
    /// So many at once.
    cluster: usize,
}

/// # Safety
///
/// As of [`launch_clusters`].
#[expect(unsafe_code, reason = "a kernel launch")]
unsafe fn launch_so(
    device: &CudaDevice,
    module: &Module,
    name: &str,
    grid: Grid,
    way: Way,
    arguments: &[Argument<'_>],
) -> Result<()> {
    let stream = device.cuda_stream();
    let kernel = kernel(&stream, module, name)?;
    kernel.allow_shared(grid.shared_bytes)?;
    let locked: Vec<_> = arguments
        .iter()
        .filter_map(|argument| match argument {
            Argument::Tensor(tensor) | Argument::Boxes(tensor, ..) => {
                Some(tensor.storage_and_layout())
            }
            Argument::Host(_) | Argument::Nothing | Argument::Int(_) | Argument::Float(_) => None,
        })
        .collect();
    let mut tensors = locked.iter();
    let mut values = Vec::with_capacity(arguments.len());
    // Kept until after the launch: they tell other streams when it is done.
    let mut accesses = Vec::with_capacity(arguments.len());
    for argument in arguments {
        values.push(match argument {
            Argument::Tensor(_) | Argument::Boxes(..) => {
                let Some((storage, layout)) = tensors.next() else { bail!("a tensor is missing") };
                let (pointer, access) = address(storage, layout, &stream)
                    .map_err(|error| error.context(format!("argument of {name}")))?;
                accesses.push(access);
                match argument {
                    Argument::Boxes(matrix, rows, row_bytes) => {
                        Value::Boxes(boxes(matrix, pointer, (*rows, *row_bytes))?)
                    }
                    _ => Value::Pointer(pointer),
                }
            }
            Argument::Host(words) => Value::Pointer(words.addr() as u64),
            Argument::Nothing => Value::Pointer(0),
            Argument::Int(value) => Value::Int(i32::try_from(*value)?),
            Argument::Float(value) => Value::Float(*value),
        });
    }
    let mut pointers: Vec<*mut c_void> = values.iter().map(Value::pointer).collect();
    let mut attributes = launch_attributes(kernel.may_overlap && way.may_overlap, way.cluster);
    let config = launch_config(&grid, stream.cu_stream(), &mut attributes);
    // SAFETY: the caller's promise; pointers are live, because tensors are locked, and the driver copies
    // the values before it returns.
    unsafe {
        sys::cuLaunchKernelEx(
            &raw const config,
            kernel.function(),
            pointers.as_mut_ptr(),
            std::ptr::null_mut(),
        )
    }
    .result()
    .w()
}

fn launch_attributes(may_overlap: bool, cluster: usize) -> Vec<sys::CUlaunchAttribute> {
    use sys::CUlaunchAttributeID as Id;
    let attribute = |id, value| sys::CUlaunchAttribute { id, pad: [0; 4], value };
    let mut attributes = Vec::with_capacity(2);
    if may_overlap {
        let value = sys::CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 };
        let id = Id::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
        attributes.push(attribute(id, value));
    }
    if cluster > 1 {
        let mut value = sys::CUlaunchAttributeValue { pad: [0; 64] };
        value.clusterDim.x = cluster as u32;
        value.clusterDim.y = 1;
        value.clusterDim.z = 1;
        attributes.push(attribute(Id::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, value));
    }
    attributes
}

fn launch_config(
    grid: &Grid,
    stream: sys::CUstream,
    attributes: &mut [sys::CUlaunchAttribute],
) -> sys::CUlaunchConfig {
    let [x, y, z] = grid.blocks.map(|blocks| blocks as u32);
    sys::CUlaunchConfig {
        gridDimX: x,
        gridDimY: y,
        gridDimZ: z,
        blockDimX: grid.threads as u32,
        blockDimY: 1,
        blockDimZ: 1,
        sharedMemBytes: grid.shared_bytes as u32,
        hStream: stream,
        attrs: attributes.as_mut_ptr(),
        numAttrs: attributes.len() as u32,
    }
}

/// Bytes of shared memory that a kernel may be launched with, by its handle, where that was ever more than none.
static ALLOWED: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Mutex::default);

/// A kernel in a context, and blocks of a cluster.
type ClustersOf = (usize, String, usize);

/// How many clusters run at once. Of a kernel all launches have the same threads and shared memory where this is asked.
static AT_ONCE: LazyLock<Mutex<HashMap<ClustersOf, usize>>> = LazyLock::new(Mutex::default);

/// How many clusters of `cluster` blocks of this kernel the GPU runs at once. The driver is asked once.
pub(super) fn clusters_at_once(
    device: &CudaDevice,
    module: &Module,
    name: &str,
    block: (usize, usize),
    cluster: usize,
) -> Result<usize> {
    let context = device.cuda_stream().context().cu_ctx() as usize;
    let mut known = AT_ONCE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(count) = known.get(&(context, name.to_owned(), cluster)) {
        return Ok(*count);
    }
    let count = count_clusters(device, module, name, block, cluster)?;
    known.insert((context, name.to_owned(), cluster), count);
    Ok(count)
}

#[expect(unsafe_code, reason = "the driver counts")]
fn count_clusters(
    device: &CudaDevice,
    module: &Module,
    name: &str,
    (threads, shared_bytes): (usize, usize),
    cluster: usize,
) -> Result<usize> {
    let stream = device.cuda_stream();
    let kernel = kernel(&stream, module, name)?;
    kernel.allow_shared(shared_bytes)?;
    let grid = Grid { blocks: [cluster, GRID_MAX, 1], threads, shared_bytes };
    let mut attributes = launch_attributes(false, cluster);
    let config = launch_config(&grid, stream.cu_stream(), &mut attributes);
    let mut count = 0;
    // SAFETY: the configuration and its attributes live until the call returns.
    unsafe {
        sys::cuOccupancyMaxActiveClusters(&raw mut count, kernel.function(), &raw const config)
    }
    .result()
    .w()?;
    Ok(usize::try_from(count)?)
}

/// A loaded kernel.
#[derive(Debug, Clone, Copy)]
struct Kernel {
    /// The driver's handle: of a module that is never unloaded.
    function: usize,
    /// Whether its blocks may take their places while the kernel before it runs: the GPU can, and the
    /// kernels wait by themselves.
    may_overlap: bool,
}

impl Kernel {
    fn function(self) -> sys::CUfunction {
        self.function as sys::CUfunction
    }

    /// Lets it be launched with so much shared memory. What another thread was allowed stays: it may not have launched yet.
    #[expect(unsafe_code, reason = "the driver's attribute of a function")]
    fn allow_shared(self, bytes: usize) -> Result<()> {
        let mut allowed = ALLOWED.lock().unwrap_or_else(PoisonError::into_inner);
        let most = allowed.entry(self.function).or_default();
        if bytes <= *most {
            return Ok(());
        }
        let limit = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function was loaded in this context.
        unsafe { sys::cuFuncSetAttribute(self.function(), limit, bytes as i32) }.result().w()?;
        *most = bytes;
        Ok(())
    }
}

/// Loaded kernels by context and name, and modules by context and name.
#[derive(Default)]
struct Loaded {
    modules: HashMap<(usize, &'static str), usize>,
    kernels: HashMap<(usize, String), Kernel>,
}

static LOADED: LazyLock<Mutex<Loaded>> = LazyLock::new(Mutex::default);

/// Looks kernel `name` up, and loads its file the first time.
#[expect(unsafe_code, reason = "the library's functions can only be launched the plain way")]
fn kernel(stream: &Arc<CudaStream>, module: &Module, name: &str) -> Result<Kernel> {
    let context = stream.context();
    let at = context.cu_ctx() as usize;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kernel) = loaded.kernels.get(&(at, name.to_owned())) {
        context.bind_to_thread().w()?;
        return Ok(*kernel);
    }
    context.bind_to_thread().w()?;
    let handle = if let Some(handle) = loaded.modules.get(&(at, module.name)) {
        *handle
    } else {
        if module.image.is_empty() {
            bail!("this build has no kernels {}", module.name);
        }
        // SAFETY: the image is a whole PTX file with a zero behind it, or a file of machine code.
        let handle =
            unsafe { result::module::load_data(module.image.as_ptr().cast()) }.w()? as usize;
        loaded.modules.insert((at, module.name), handle);
        handle
    };
    let c_name = CString::new(name).map_err(Error::wrap)?;
    // SAFETY: the module is never unloaded.
    let function = unsafe { result::module::get_function(handle as sys::CUmodule, c_name) }.w()?;
    let major = context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR).w()?;
    let kernel = Kernel { function: function as usize, may_overlap: major >= 9 };
    loaded.kernels.insert((at, name.to_owned()), kernel);
    Ok(kernel)
}

/// Memory that holds anything until kernels write it.
#[expect(unsafe_code, reason = "memory that is not yet written")]
pub(in crate::model) fn buffer(
    device: &Device,
    shape: impl Into<Shape>,
    dtype: DType,
) -> Result<Tensor> {
    // SAFETY: every pattern of bits is a number, and what is read before it is written is the caller's
    // mistake in arithmetic, not in memory.
    unsafe { uninit(device.as_cuda_device()?, shape, dtype) }
}

pub(super) fn multiprocessors(device: &CudaDevice) -> Result<usize> {
    attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
}

/// Of the kind that the kernels use.
pub(super) fn has_tensor_cores(device: &CudaDevice) -> Result<bool> {
    Ok(attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)? >= 8)
}

/// The dtype's part of the kernels' names.
pub(super) fn suffix(dtype: DType) -> Result<&'static str> {
    Ok(match dtype {
        DType::F32 => "f32",
        DType::F16 => "f16",
        DType::BF16 => "bf16",
        other => bail!("no kernels for {other:?}"),
    })
}

pub(super) fn expect(tensor: &Tensor, shape: &[usize], dtype: DType) -> Result<()> {
    if tensor.dims() != shape || tensor.dtype() != dtype {
        bail!("a kernel got {:?} {:?}, not {dtype:?} {shape:?}", tensor.dtype(), tensor.shape());
    }
    Ok(())
}
