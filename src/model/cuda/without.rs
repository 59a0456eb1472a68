//! Products and copies in a build without CUDA: nothing is taken, so nothing else is called.

pub(in crate::model) mod product {
    use candle_core::{DType, Result, Tensor, bail};

    pub(in crate::model) fn takes(_: &Tensor, _: DType) -> bool {
        false
    }

    pub(in crate::model) fn product(_: &Tensor, _: &Tensor, _: DType) -> Result<Tensor> {
        bail!("this build has no CUDA")
    }
}

pub(in crate::model) mod fp8 {
    use candle_core::{DType, Result, Tensor, bail};

    use crate::model::byte_matrix::ByteMatrix;

    pub(in crate::model) fn takes(_: &Tensor, _: &ByteMatrix) -> bool {
        false
    }

    pub(in crate::model) fn product(_: &Tensor, _: &ByteMatrix, _: DType) -> Result<Tensor> {
        bail!("this build has no CUDA")
    }
}

pub(in crate::model) mod q8 {
    use candle_core::{DType, Result, Tensor, bail};

    use crate::model::byte_matrix::ByteMatrix;

    pub(in crate::model) fn takes(_x: &Tensor, _addend: Option<&Tensor>) -> bool {
        false
    }

    pub(in crate::model) fn product(
        _: &Tensor,
        _: &ByteMatrix,
        _: Option<&Tensor>,
    ) -> Result<Tensor> {
        bail!("this build has no CUDA")
    }

    pub(in crate::model) fn dequantise(_: &ByteMatrix, _: DType) -> Result<Tensor> {
        bail!("this build has no CUDA")
    }
}

pub(in crate::model) mod transfer {
    use candle_core::{Device, Result, Shape, Tensor};

    #[derive(Debug, Default)]
    pub(in crate::model) struct Staging(());

    impl Staging {
        #[expect(clippy::unused_self, reason = "with the feature `cuda` it has memory")]
        #[expect(clippy::unnecessary_wraps, reason = "with the feature `cuda` it copies")]
        pub(in crate::model) fn upload(
            &mut self,
            _: &[&[u8]],
            _: &[f32],
            _: impl Into<Shape>,
            _: &Device,
        ) -> Result<Option<Tensor>> {
            Ok(None)
        }
    }
}
