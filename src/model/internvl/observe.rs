//! Looking at activations as they are made: for parity checks, to measure how much of a dtype's range
//! a model needs, and to find where a NaN is born.

use std::fmt;

use candle_core::{Result, Tensor};

/// A part of the model that is placed as a whole; shown by its name in the original layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Vision,
    Projector,
    Embedding,
    Layer(usize),
    Norm,
    Head,
}

/// A place within a part where numbers can leave their dtype's range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Site {
    /// Scaled products of queries and keys, before softmax.
    Scores,
    Softmax,
    /// What attention returns, before its output product.
    Attended,
    /// The input of the MLP's last product: `silu(gate) * up`, or the vision tower's GELU.
    MlpProduct,
    /// The MLP's output, before it is added.
    DownProj,
    /// The sum that runs through the layers, after this one; for the vision tower and the projector
    /// their result, for the embedding its rows with those of images in place.
    Residual,
    Logits,
}

/// Is shown activations with their place.
pub(super) trait Observe {
    /// Whether places inside a layer are wanted, which cost extra work to show.
    fn looks_inside(&self) -> bool {
        false
    }

    /// Whether nothing is wanted at all.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "asked by fused kernels"))]
    fn is_blind(&self) -> bool {
        false
    }

    fn see(&mut self, part: Part, site: Site, tensor: &Tensor) -> Result<()>;
}

/// Looks at nothing.
pub(super) struct Blind;

impl Observe for Blind {
    fn is_blind(&self) -> bool {
        true
    }

    fn see(&mut self, _: Part, _: Site, _: &Tensor) -> Result<()> {
        Ok(())
    }
}

/// An observer that knows which part is at work.
pub(super) struct Within<'a> {
    pub(super) part: Part,
    pub(super) observer: &'a mut dyn Observe,
}

impl Within<'_> {
    pub(super) fn looks_inside(&self) -> bool {
        self.observer.looks_inside()
    }

    pub(super) fn see(&mut self, site: Site, tensor: &Tensor) -> Result<()> {
        self.observer.see(self.part, site, tensor)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vision => f.write_str("vision_model"),
            Self::Projector => f.write_str("mlp1"),
            Self::Embedding => f.write_str("language_model.model.embed_tokens"),
            Self::Layer(index) => write!(f, "language_model.model.layers.{index}"),
            Self::Norm => f.write_str("language_model.model.norm"),
            Self::Head => f.write_str("language_model.lm_head"),
        }
    }
}

impl Site {
    /// As [`name`](Self::name), where the operations that serve were looked at from outside.
    pub(super) fn served_name(self) -> &'static str {
        match self {
            Self::Scores => "served_scores",
            Self::Softmax => "served_softmax",
            Self::Attended => "served_attended",
            Self::MlpProduct => "served_mlp_product",
            Self::DownProj => "served_down_proj",
            Self::Residual => "served_residual",
            Self::Logits => "served_logits",
        }
    }

    /// As `ModuleInfo` and error details spell it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::Softmax => "softmax",
            Self::Attended => "attended",
            Self::MlpProduct => "mlp_product",
            Self::DownProj => "down_proj",
            Self::Residual => "residual",
            Self::Logits => "logits",
        }
    }
}
