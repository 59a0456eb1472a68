//! A step that was launched once and is launched again as a whole.

use candle_core::cuda_backend::WrapErr as _;
use candle_core::cuda_backend::cudarc::cublas::sys::cublasSetWorkspace_v2;
use candle_core::cuda_backend::cudarc::driver::CudaGraph;
use candle_core::cuda_backend::cudarc::driver::sys::{
    CUgraphInstantiate_flags, CUstreamCaptureMode,
};
use candle_core::{DType, Device, Error, Result, Tensor};

use super::argument::address;
use super::launch::uninit;

/// What cublas may use for itself, in words: 32 MiB, as its makers advise for Hopper.
const WORKSPACE_WORDS: usize = 8 << 20;

/// Launches in their order, with the memory that they read and write.
pub(in crate::model) struct Graph(CudaGraph);

// SAFETY: a graph is used by one thread at a time: it is launched through `&mut`, and has no other use.
#[expect(unsafe_code, reason = "the driver's handle is a pointer")]
unsafe impl Send for Graph {}

impl Graph {
    /// Records what `launches` puts on the device's stream, without running it. It may allocate nothing and
    /// read nothing back; all memory that it names must live as long as the graph.
    pub(in crate::model) fn capture(
        device: &Device,
        launches: impl FnOnce() -> Result<()>,
    ) -> Result<Self> {
        let stream = device.as_cuda_device()?.cuda_stream();
        stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).w()?;
        let launched = launches();
        // Ends the capture in any case: the stream would take nothing else.
        let graph = stream.end_capture(CUgraphInstantiate_flags(0)).w();
        launched?;
        let graph = graph?.ok_or_else(|| Error::Msg("nothing was captured".to_owned()))?;
        graph.upload().w()?;
        Ok(Self(graph))
    }

    pub(in crate::model) fn launch(&mut self) -> Result<()> {
        self.0.launch().w()
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Graph")
    }
}

/// Gives cublas memory of its own, so that a product in a graph allocates none. The tensor must live as long
/// as products are launched.
#[expect(unsafe_code, reason = "cublas takes a pointer")]
pub(in crate::model) fn cublas_workspace(device: &Device) -> Result<Tensor> {
    let cuda = device.as_cuda_device()?;
    // SAFETY: nothing but cublas reads it.
    let workspace = unsafe { uninit(cuda, WORKSPACE_WORDS, DType::U32) }?;
    {
        let stream = cuda.cuda_stream();
        let (storage, layout) = workspace.storage_and_layout();
        let (pointer, _writing) = address(&storage, layout, &stream)?;
        // SAFETY: the memory has the size that is said, and the caller keeps it.
        let status = unsafe {
            cublasSetWorkspace_v2(
                *cuda.cublas_handle().handle(),
                pointer as *mut std::ffi::c_void,
                WORKSPACE_WORDS * size_of::<u32>(),
            )
        };
        status.result().map_err(|error| Error::Cuda(Box::new(error)))?;
    }
    Ok(workspace)
}
