//! Arguments of kernels, and what the driver is told of them.

use std::ffi::c_void;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::sys;
use candle_core::cuda_backend::cudarc::driver::{CudaStream, DevicePtr as _, SyncOnDrop};
use candle_core::cuda_backend::{CudaStorageSlice, WrapErr as _};
use candle_core::{CudaStorage, Layout, Result, Storage, Tensor, bail};

/// Kernels load rows in pieces of this many bytes.
const ALIGNMENT: usize = 16;
/// Bytes of a row of a box: what is swizzled in shared memory.
pub(super) const BOX_BYTES: usize = 128;

/// An argument of a kernel.
pub(super) enum Argument<'a> {
    /// The address of the first element; the tensor is contiguous. Kernels also write there.
    Tensor(&'a Tensor),
    /// How the copy engine finds boxes in a contiguous matrix: of so many rows, and so many bytes of each, [`BOX_BYTES`] or
    /// half of them.
    Boxes(&'a Tensor, usize, usize),
    /// Page-locked memory of the host, which a device finds at the same address.
    Host(*const u32),
    /// A null pointer.
    Nothing,
    Int(usize),
    Float(f32),
}

impl<'a> From<Option<&'a Tensor>> for Argument<'a> {
    fn from(tensor: Option<&'a Tensor>) -> Self {
        tensor.map_or(Self::Nothing, Self::Tensor)
    }
}

/// An argument as the driver reads it.
pub(super) enum Value {
    Boxes(sys::CUtensorMap),
    Pointer(u64),
    Int(i32),
    Float(f32),
}

impl Value {
    /// Where the driver finds it, as long as it stays where it is.
    pub(super) fn pointer(&self) -> *mut c_void {
        let pointer: *const c_void = match self {
            Self::Boxes(value) => std::ptr::from_ref(value).cast(),
            Self::Pointer(value) => std::ptr::from_ref(value).cast(),
            Self::Int(value) => std::ptr::from_ref(value).cast(),
            Self::Float(value) => std::ptr::from_ref(value).cast(),
        };
        pointer.cast_mut()
    }
}

/// Boxes of so many rows, and [`BOX_BYTES`] or half as many of each, of a matrix at `address`; what lies outside it is
/// zeros.
#[expect(unsafe_code, reason = "the driver writes what it makes of the matrix")]
pub(super) fn boxes(
    matrix: &Tensor,
    address: u64,
    (rows, row_bytes): (usize, usize),
) -> Result<sys::CUtensorMap> {
    use sys::CUtensorMapSwizzle as Swizzle;
    const HALF_BYTES: usize = BOX_BYTES / 2;
    let (height, width) = matrix.dims2()?;
    let bytes = matrix.dtype().size_in_bytes();
    let kind = match bytes {
        1 => sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT8,
        2 => sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT16,
        _ => bail!("no boxes of {:?}", matrix.dtype()),
    };
    let sizes = [width as u64, height as u64];
    let strides = [(width * bytes) as u64];
    let extent = [(row_bytes / bytes) as u32, rows as u32];
    let swizzle = match row_bytes {
        BOX_BYTES => Swizzle::CU_TENSOR_MAP_SWIZZLE_128B,
        HALF_BYTES => Swizzle::CU_TENSOR_MAP_SWIZZLE_64B,
        _ => bail!("no boxes with rows of {row_bytes} bytes"),
    };
    let steps = [1, 1];
    let mut map = sys::CUtensorMap { opaque: [0; 16] };
    // SAFETY: the arrays have as many elements as the rank says, or one less for strides.
    unsafe {
        sys::cuTensorMapEncodeTiled(
            &raw mut map,
            kind,
            2,
            address as *mut c_void,
            sizes.as_ptr(),
            strides.as_ptr(),
            extent.as_ptr(),
            steps.as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            swizzle,
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    }
    .result()
    .w()?;
    Ok(map)
}

/// Where a contiguous tensor begins.
pub(super) fn address<'a>(
    storage: &'a Storage,
    layout: &Layout,
    stream: &'a Arc<CudaStream>,
) -> Result<(u64, SyncOnDrop<'a>)> {
    let Storage::Cuda(storage) = storage else { bail!("not on this GPU") };
    let Some((start, _)) = layout.contiguous_offsets() else { bail!("not contiguous") };
    let (pointer, access) = read_pointer(storage, stream)?;
    let offset = start * storage.dtype_bytes();
    if storage.is_number() && !offset.is_multiple_of(ALIGNMENT) {
        bail!("rows that do not begin at {ALIGNMENT}-byte boundaries");
    }
    Ok((pointer + offset as u64, access))
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
        CudaStorageSlice::U8(slice) => slice.device_ptr(stream),
        _ => bail!("kernels take u8, u32, f16, bf16 and f32"),
    })
}
