//! Products in a build without CUDA: nothing is taken, so nothing else is called.

pub(in crate::model) mod product {
    use candle_core::{DType, Result, Tensor, bail};

    pub(in crate::model) fn takes(_: &Tensor, _: DType) -> bool {
        false
    }

    pub(in crate::model) fn product(_: &Tensor, _: &Tensor, _: DType) -> Result<Tensor> {
        bail!("this build has no CUDA")
    }
}

pub(in crate::model) mod q8 {
    use candle_core::Tensor;

    pub(in crate::model) fn takes(_x: &Tensor, _addend: Option<&Tensor>) -> bool {
        false
    }
}
