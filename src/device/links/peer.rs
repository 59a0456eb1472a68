//! Copies from GPU to GPU, by the driver or, of few bytes, by a kernel; ordered on both sides.
//!
//! The consumer's stream waits for an event of the producer's, then copies on its own stream, so that
//! whatever follows there sees whole data. The producer never waits: the caller keeps the source
//! alive until the copy's own event has passed.
#![cfg_attr(
    feature = "cuda",
    allow(unsafe_code, reason = "the driver's peer calls have no safe form")
)]

#[cfg(feature = "cuda")]
pub(super) use cuda::{copy, enable};
#[cfg(not(feature = "cuda"))]
pub(super) use without::{copy, enable};

#[cfg(feature = "cuda")]
mod cuda {
    use std::mem::MaybeUninit;

    use candle_core::backend::BackendStorage as _;
    use candle_core::cuda_backend::cudarc::driver::{
        CudaContext, CudaStream, DevicePtr as _, DevicePtrMut as _, DeviceRepr, LaunchConfig,
        PushKernelArg as _, result, sys,
    };
    use candle_core::cuda_backend::{CudaDType, CudaStorageSlice, WrapErr as _, kernels};
    use candle_core::{
        CpuStorage, CudaDevice, CudaStorage, CustomOp1, Device, Error, Layout, Result, Shape,
        Tensor,
    };
    use std::sync::{Arc, Mutex, PoisonError};

    use crate::device::mark::{Interval, Mark};

    /// Bytes up to which a kernel of the target reads the source's memory: the copy engine takes longer to begin than
    /// so few bytes to travel.
    const BY_KERNEL_MAX: usize = 1 << 20;

    /// Lets `target` read the memory of `source`; the error says why it may not.
    pub(in crate::device::links) fn enable(
        source: &Device,
        target: &Device,
    ) -> std::result::Result<(), String> {
        let (Device::Cuda(source), Device::Cuda(target)) = (source, target) else {
            return Err("not two GPUs".to_owned());
        };
        let (source, target) = (source.cuda_stream(), target.cuda_stream());
        let (source, target) = (source.context(), target.context());
        if !can_access(source, target) {
            return Err("the driver offers no peer access between them".to_owned());
        }
        // The copy engine may be driven from either side.
        for (reader, owner) in [(target, source), (source, target)] {
            enable_context(reader, owner).map_err(|error| format!("no peer access: {error}"))?;
            enable_pool(reader, owner).map_err(|error| format!("no peer pool: {error}"))?;
        }
        Ok(())
    }

    fn can_access(source: &CudaContext, target: &CudaContext) -> bool {
        let mut can = 0;
        // SAFETY: `can` outlives the call, and both devices come from live contexts.
        let asked = unsafe {
            sys::cuDeviceCanAccessPeer(&raw mut can, target.cu_device(), source.cu_device())
        };
        asked == sys::CUresult::CUDA_SUCCESS && can == 1
    }

    fn enable_context(
        reader: &CudaContext,
        owner: &CudaContext,
    ) -> std::result::Result<(), result::DriverError> {
        reader.bind_to_thread()?;
        // SAFETY: the owner's context is alive as long as its device handle.
        match unsafe { sys::cuCtxEnablePeerAccess(owner.cu_ctx(), 0) } {
            sys::CUresult::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED => Ok(()),
            other => other.result(),
        }
    }

    /// Tensors come from the device's memory pool, which has its own access list.
    fn enable_pool(
        reader: &CudaContext,
        owner: &CudaContext,
    ) -> std::result::Result<(), result::DriverError> {
        let mut pool = MaybeUninit::uninit();
        // SAFETY: the pool is written on success, and the description is plain data that outlives
        // the call.
        unsafe {
            sys::cuDeviceGetMemPool(pool.as_mut_ptr(), owner.cu_device()).result()?;
            let mut access: sys::CUmemAccessDesc = std::mem::zeroed();
            access.location.type_ = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE;
            access.location.id = reader.cu_device();
            access.flags = sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
            sys::cuMemPoolSetAccess(pool.assume_init(), &raw const access, 1).result()
        }
    }

    /// A contiguous `x` on `target`, and when it is copied: `x` may be freed after that. `made`: when `x` is there,
    /// where that is known; then the copy is timed, else its interval has an end only.
    pub(in crate::device::links) fn copy(
        x: &Tensor,
        target: &Device,
        made: Option<&Mark>,
    ) -> Result<(Tensor, Interval)> {
        let target = target.as_cuda_device()?.clone();
        let op = PeerCopy { target, made: made.cloned(), copied: Mutex::default() };
        let copy = x.apply_op1_no_bwd(&op)?;
        let copied = op.copied.into_inner().unwrap_or_else(PoisonError::into_inner);
        let copied = copied.ok_or_else(|| Error::Msg("the peer copy was not run".to_owned()))?;
        Ok((copy, copied))
    }

    struct PeerCopy {
        target: CudaDevice,
        made: Option<Mark>,
        copied: Mutex<Option<Interval>>,
    }

    impl CustomOp1 for PeerCopy {
        fn name(&self) -> &'static str {
            "peer-copy"
        }

        fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
            Err(Error::Msg("peer copies are between GPUs".to_owned()))
        }

        fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
            let (start, end) = layout
                .contiguous_offsets()
                .ok_or_else(|| Error::Msg("peer copies need contiguous data".to_owned()))?;
            let source = storage.device().cuda_stream();
            let (target, device) = (self.target.cuda_stream(), &self.target);
            let made = self.made.as_ref();
            let route = Route { source: &source, target: &target, start, len: end - start, made };
            let (slice, copied) = match &storage.slice {
                CudaStorageSlice::F32(_) => route.copy::<f32>(storage, device)?,
                CudaStorageSlice::BF16(_) => route.copy::<half::bf16>(storage, device)?,
                CudaStorageSlice::F16(_) => route.copy::<half::f16>(storage, device)?,
                CudaStorageSlice::U32(_) => route.copy::<u32>(storage, device)?,
                CudaStorageSlice::U8(_) => route.copy::<u8>(storage, device)?,
                _ => return Err(Error::Msg("no peer copies of this dtype".to_owned())),
            };
            *self.copied.lock().unwrap_or_else(PoisonError::into_inner) = Some(copied);
            Ok((slice, layout.shape().clone()))
        }
    }

    struct Route<'a> {
        source: &'a Arc<CudaStream>,
        target: &'a Arc<CudaStream>,
        start: usize,
        len: usize,
        made: Option<&'a Mark>,
    }

    impl Route<'_> {
        fn copy<T: CudaDType + DeviceRepr>(
            &self,
            storage: &CudaStorage,
            device: &CudaDevice,
        ) -> Result<(CudaStorage, Interval)> {
            let (source, target) = (self.source, self.target);
            let from = storage.as_cuda_slice::<T>()?.slice(self.start..self.start + self.len);
            // SAFETY: every element is written by the copy below before anything can read it.
            let mut to = unsafe { target.alloc::<T>(self.len) }.w()?;
            let begin = {
                let (from, _reading) = from.device_ptr(source);
                let (to, _writing) = to.device_ptr_mut(target);
                match self.made.and_then(Mark::event) {
                    Some(made) => target.wait(made).w()?,
                    None => target.wait(&source.record_event(None).w()?).w()?,
                }
                target.context().bind_to_thread().w()?;
                let begin = self.made.map(|_| Mark::on_stream(target, true)).transpose()?;
                let bytes = self.len * size_of::<T>();
                // SAFETY: both ranges hold `bytes`; the source is kept alive by the caller until the
                // event below has passed, and the target's stream owns the new memory.
                unsafe {
                    if bytes <= BY_KERNEL_MAX {
                        read(device, from, to, bytes)?;
                    } else {
                        result::memcpy_peer_async(
                            target.context().cu_ctx(),
                            to,
                            source.context().cu_ctx(),
                            from,
                            bytes,
                            target.cu_stream(),
                        )
                        .w()?;
                    }
                }
                begin
            };
            let end = Mark::on_stream(target, begin.is_some())?;
            let interval = Interval { begin: begin.unwrap_or_else(|| end.clone()), end };
            Ok((CudaStorage::wrap_cuda_slice(to, device.clone()), interval))
        }
    }

    /// Copies `bytes` at `from`, which `device` may read wherever it is, to `to` by a kernel on its stream.
    ///
    /// # Safety
    ///
    /// Both hold so many bytes until the kernel has run, and `device` has access to them.
    unsafe fn read(
        device: &CudaDevice,
        from: sys::CUdeviceptr,
        to: sys::CUdeviceptr,
        bytes: usize,
    ) -> Result<()> {
        const WORD: usize = size_of::<u32>();
        let whole_words = [from as usize, to as usize, bytes].iter().all(|at| at % WORD == 0);
        let (name, count) =
            if whole_words { ("ucopy_u32", bytes / WORD) } else { ("ucopy_u8", bytes) };
        let function = device.get_or_load_func(name, &kernels::UNARY)?;
        // Of values that follow each other the kernel needs no shape: a null pointer.
        let (dims, shape) = (0_usize, 0_u64);
        let mut launch = function.builder();
        launch.arg(&count).arg(&dims).arg(&shape).arg(&from).arg(&to);
        // SAFETY: the kernel reads and writes `count` values, and takes these arguments.
        unsafe { launch.launch(LaunchConfig::for_num_elems(count as u32)) }.w()?;
        Ok(())
    }
}

#[cfg(not(feature = "cuda"))]
mod without {
    use candle_core::{Device, Error, Result, Tensor};

    use crate::device::mark::{Interval, Mark};

    pub(in crate::device::links) fn enable(
        _: &Device,
        _: &Device,
    ) -> std::result::Result<(), String> {
        Err("this build has no CUDA".to_owned())
    }

    pub(in crate::device::links) fn copy(
        _: &Tensor,
        _: &Device,
        _: Option<&Mark>,
    ) -> Result<(Tensor, Interval)> {
        Err(Error::Msg("this build has no CUDA".to_owned()))
    }
}
