//! Copies from GPU to GPU by the driver, ordered on both sides.
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
        CudaContext, CudaStream, DevicePtr as _, DevicePtrMut as _, DeviceRepr, result, sys,
    };
    use candle_core::cuda_backend::{CudaDType, CudaStorageSlice, WrapErr as _};
    use candle_core::{
        CpuStorage, CudaDevice, CudaStorage, CustomOp1, Device, Error, Layout, Result, Shape,
        Tensor,
    };
    use std::sync::{Arc, Mutex, PoisonError};

    use crate::device::mark::{Interval, Mark};

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

    /// A contiguous `x` on `target`, and when it is copied: `x` may be freed after that.
    pub(in crate::device::links) fn copy(
        x: &Tensor,
        target: &Device,
    ) -> Result<(Tensor, Interval)> {
        let op = PeerCopy { target: target.as_cuda_device()?.clone(), copied: Mutex::default() };
        let copy = x.apply_op1_no_bwd(&op)?;
        let copied = op.copied.into_inner().unwrap_or_else(PoisonError::into_inner);
        let copied = copied.ok_or_else(|| Error::Msg("the peer copy was not run".to_owned()))?;
        Ok((copy, copied))
    }

    struct PeerCopy {
        target: CudaDevice,
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
            let route = Route { source: &source, target: &target, start, len: end - start };
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
                let produced = source.record_event(None).w()?;
                let (to, _writing) = to.device_ptr_mut(target);
                target.wait(&produced).w()?;
                target.context().bind_to_thread().w()?;
                let begin = Mark::on_stream(target)?;
                let bytes = self.len * size_of::<T>();
                // SAFETY: both ranges hold `bytes`; the source is kept alive by the caller until the
                // event below has passed, and the target's stream owns the new memory.
                unsafe {
                    result::memcpy_peer_async(
                        target.context().cu_ctx(),
                        to,
                        source.context().cu_ctx(),
                        from,
                        bytes,
                        target.cu_stream(),
                    )
                }
                .w()?;
                begin
            };
            let interval = Interval { begin, end: Mark::on_stream(target)? };
            Ok((CudaStorage::wrap_cuda_slice(to, device.clone()), interval))
        }
    }
}

#[cfg(not(feature = "cuda"))]
mod without {
    use candle_core::{Device, Error, Result, Tensor};

    use crate::device::mark::Interval;

    pub(in crate::device::links) fn enable(
        _: &Device,
        _: &Device,
    ) -> std::result::Result<(), String> {
        Err("this build has no CUDA".to_owned())
    }

    pub(in crate::device::links) fn copy(_: &Tensor, _: &Device) -> Result<(Tensor, Interval)> {
        Err(Error::Msg("this build has no CUDA".to_owned()))
    }
}
