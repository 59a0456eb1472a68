//! Number formats of weights and activations, and which one a device gets.

use std::fmt;
use std::str::FromStr;

use candle_core::DType;

use super::open::ComputeCapability;

/// A floating-point format of weights, activations or KV entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    F32,
    Bf16,
    F16,
}

/// A dtype name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown dtype {0:?}: use f32, bf16 or f16")]
pub struct UnknownDtype(String);

impl Dtype {
    pub const fn size_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// The tensor library's name for it.
    pub const fn to_candle(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

impl FromStr for Dtype {
    type Err = UnknownDtype;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "f32" | "float32" => Ok(Self::F32),
            "bf16" | "bfloat16" => Ok(Self::Bf16),
            "f16" | "float16" => Ok(Self::F16),
            other => Err(UnknownDtype(other.to_owned())),
        }
    }
}

/// The dtype a device computes in, and why it is not the one asked for, if it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtypeDecision {
    pub requested: Dtype,
    pub dtype: Dtype,
    /// Empty where `dtype` is `requested`.
    pub reason: String,
}

/// First compute capability with bf16 arithmetic (A100).
const BF16_SINCE: ComputeCapability = ComputeCapability { major: 8, minor: 0 };

/// `requested` or, without a request, what suits the device: f32 on the CPU, bf16 on GPUs that have
/// it, f16 on older ones. A GPU without bf16 arithmetic never gets bf16.
pub fn decide_dtype(
    requested: Option<Dtype>,
    capability: Option<ComputeCapability>,
) -> DtypeDecision {
    let suitable = match capability {
        None => Dtype::F32,
        Some(capability) if capability >= BF16_SINCE => Dtype::Bf16,
        Some(_) => Dtype::F16,
    };
    let requested = requested.unwrap_or(suitable);
    match capability {
        Some(capability) if requested == Dtype::Bf16 && capability < BF16_SINCE => DtypeDecision {
            requested,
            dtype: Dtype::F16,
            reason: format!("compute capability {capability} has no bf16 arithmetic; f16 is used"),
        },
        _ => DtypeDecision { requested, dtype: requested, reason: String::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(requested: Option<Dtype>, capability: Option<(u32, u32)>) -> (Dtype, bool) {
        let capability = capability.map(|(major, minor)| ComputeCapability { major, minor });
        let decision = decide_dtype(requested, capability);
        (decision.dtype, decision.reason.is_empty())
    }

    #[test]
    fn names_round_trip() {
        for dtype in [Dtype::F32, Dtype::Bf16, Dtype::F16] {
            assert_eq!(dtype.to_string().parse(), Ok(dtype));
        }
        assert!("int8".parse::<Dtype>().is_err());
    }

    #[test]
    fn each_device_gets_what_it_can_compute() {
        assert_eq!(decide(None, None), (Dtype::F32, true));
        for (name, capability) in
            [("A100", (8, 0)), ("A10", (8, 6)), ("L40S", (8, 9)), ("H100", (9, 0))]
        {
            assert_eq!(decide(None, Some(capability)), (Dtype::Bf16, true), "{name}");
        }
        for (name, capability) in [("V100", (7, 0)), ("T4", (7, 5))] {
            assert_eq!(decide(None, Some(capability)), (Dtype::F16, true), "{name}");
            assert_eq!(decide(Some(Dtype::Bf16), Some(capability)), (Dtype::F16, false), "{name}");
            assert_eq!(decide(Some(Dtype::F32), Some(capability)), (Dtype::F32, true), "{name}");
        }
    }
}
