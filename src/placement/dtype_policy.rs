//! The dtype of each module, and why it is not the one asked for, if it is not.

use std::fmt;
use std::str::FromStr;

use super::pattern::{ModulePattern, UnknownPattern};
use crate::device::{ComputeCapability, Dtype, UnknownDtype};

/// What happens where a dtype cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyMode {
    /// The server does not start.
    Strict,
    /// The nearest one that works is used, and reported wherever the dtype is.
    #[default]
    Fallback,
}

/// A dtype for some modules only: `vision=f32`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtypeOverride {
    pub modules: ModulePattern,
    pub dtype: Dtype,
}

/// How weights are stored in fewer bits than they are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantization {
    /// 8-bit integers with one f32 scale for each output row.
    Q8,
    /// 8-bit floats (e4m3) with one f32 scale for each output row. Products of many rows round their other side to 8 bits
    /// too.
    Fp8,
}

/// How the matrices of a module lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    Dense(Dtype),
    Quantized(Quantization),
}

/// What the operator asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DtypePolicy {
    /// None: what suits each device.
    pub requested: Option<Dtype>,
    pub mode: PolicyMode,
    /// The last one that matches counts.
    pub overrides: Vec<DtypeOverride>,
    /// Applies to the matrices of decoder layers and to the output matrix; embeddings, norms, the
    /// vision tower and the projector stay in the compute dtype, and so does every module that an
    /// override names. The output matrix has integers in any case: they are nearer to its weights.
    pub quantization: Option<Quantization>,
}

/// What one module gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtypeDecision {
    pub requested: Dtype,
    /// Of matrix products' inputs; sums, softmax, norms and `RoPE` are f32 everywhere.
    pub compute: Dtype,
    pub weights: WeightFormat,
    /// Why it is not what was asked for; else empty.
    pub reason: String,
}

/// Why a module cannot have its dtype, under [`PolicyMode::Strict`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{module} was asked to be {requested}, but {reason}: use {remedy}, or --dtype-policy fallback"
)]
pub struct DtypeRefused {
    pub module: String,
    pub requested: WeightFormat,
    pub reason: String,
    /// What else to ask for.
    pub remedy: &'static str,
}

/// What is wrong with the text of an override.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    #[error("{0:?} is no MODULE=DTYPE")]
    NoPair(String),
    #[error(transparent)]
    Pattern(#[from] UnknownPattern),
    #[error(transparent)]
    Dtype(#[from] UnknownDtype),
}

impl DtypePolicy {
    /// What `module` computes in on a device of `capability`; none is the CPU.
    ///
    /// Without a request: f32 on the CPU, bf16 on GPUs that have it, f16 on older ones. A GPU without
    /// bf16 arithmetic never gets bf16: it has no instructions for it, and libraries that emulate it
    /// differ in what they return.
    pub fn decide(
        &self,
        module: &str,
        capability: Option<ComputeCapability>,
    ) -> Result<DtypeDecision, DtypeRefused> {
        let own = self.overrides.iter().rev().find(|own| own.modules.matches(module));
        let asked = own.map(|own| own.dtype).or(self.requested);
        let requested = asked.unwrap_or_else(|| suitable(capability));
        let mut compute = requested;
        let mut reasons = Vec::new();
        if let Some(capability) = capability.filter(|it| !it.has_bf16())
            && requested == Dtype::Bf16
        {
            let reason = format!("compute capability {capability} has no bf16 arithmetic");
            self.refuse(
                module,
                WeightFormat::Dense(requested),
                "--dtype auto, f16 or f32",
                &reason,
            )?;
            reasons.push(format!("{reason}; f16 is used"));
            compute = Dtype::F16;
        }
        let mut weights = WeightFormat::Dense(compute);
        if let Some(asked) = self.quantization.filter(|_| own.is_none() && is_quantizable(module)) {
            weights = WeightFormat::Quantized(asked);
            if let Some(reason) = lacks(asked, compute, capability) {
                self.refuse(module, weights, "--quantize q8", &reason)?;
                reasons.push(format!("{reason}; q8 is used"));
                weights = WeightFormat::Quantized(Quantization::Q8);
            } else if module == HEAD {
                weights = WeightFormat::Quantized(Quantization::Q8);
            }
        }
        Ok(DtypeDecision { requested, compute, weights, reason: reasons.join("; ") })
    }

    /// What cannot be had is an error where nothing else will do.
    fn refuse(
        &self,
        module: &str,
        requested: WeightFormat,
        remedy: &'static str,
        reason: &str,
    ) -> Result<(), DtypeRefused> {
        match self.mode {
            PolicyMode::Fallback => Ok(()),
            PolicyMode::Strict => {
                let (module, reason) = (module.to_owned(), reason.to_owned());
                Err(DtypeRefused { module, requested, reason, remedy })
            }
        }
    }
}

/// Why weights of this format cannot be multiplied.
fn lacks(
    format: Quantization,
    compute: Dtype,
    capability: Option<ComputeCapability>,
) -> Option<String> {
    match (format, capability) {
        (Quantization::Q8, _) => None,
        (Quantization::Fp8, None) => Some("a CPU has no products of 8-bit floats".to_owned()),
        (Quantization::Fp8, Some(capability)) if !capability.has_fp8() => Some(format!(
            "compute capability {capability} has no products of 8-bit floats with scales of rows"
        )),
        (Quantization::Fp8, Some(_)) => (compute == Dtype::F32)
            .then(|| "products of 8-bit floats are for bf16 and f16".to_owned()),
    }
}

/// What a device computes reliably and fast.
fn suitable(capability: Option<ComputeCapability>) -> Dtype {
    match capability {
        None => Dtype::F32,
        Some(capability) if capability.has_bf16() => Dtype::Bf16,
        Some(_) => Dtype::F16,
    }
}

const HEAD: &str = "language_model.lm_head";

/// Modules that are read whole for every token, which is what fewer bits make faster.
fn is_quantizable(module: &str) -> bool {
    super::pattern::layer_number(module).is_some() || module == HEAD
}

impl DtypeDecision {
    /// Of the sum that runs through the layers: f16 has too small a range for it.
    pub fn residual(&self) -> Dtype {
        match self.compute {
            Dtype::F16 | Dtype::F32 => Dtype::F32,
            Dtype::Bf16 => Dtype::Bf16,
        }
    }
}

impl FromStr for DtypeOverride {
    type Err = OverrideError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (modules, dtype) =
            text.split_once('=').ok_or_else(|| OverrideError::NoPair(text.to_owned()))?;
        Ok(Self { modules: modules.parse()?, dtype: dtype.trim().parse()? })
    }
}

impl fmt::Display for DtypeOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.modules, self.dtype)
    }
}

impl fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense(dtype) => dtype.fmt(f),
            Self::Quantized(Quantization::Q8) => f.write_str("q8"),
            Self::Quantized(Quantization::Fp8) => f.write_str("fp8"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYER: &str = "language_model.model.layers.3";

    #[expect(clippy::unnecessary_wraps, reason = "it is what `decide` takes")]
    fn capability(major: u32, minor: u32) -> Option<ComputeCapability> {
        Some(ComputeCapability { major, minor })
    }

    fn policy(requested: Option<Dtype>) -> DtypePolicy {
        DtypePolicy { requested, ..DtypePolicy::default() }
    }

    #[track_caller]
    fn check(requested: Option<Dtype>, capability: Option<ComputeCapability>, expected: Dtype) {
        let decision = policy(requested).decide(LAYER, capability).unwrap();
        assert_eq!(decision.compute, expected);
        assert_eq!(decision.reason.is_empty(), decision.compute == decision.requested);
    }

    #[test]
    fn each_device_gets_what_it_can_compute() {
        check(None, None, Dtype::F32);
        // A100, A10, L40S, H100.
        for (major, minor) in [(8, 0), (8, 6), (8, 9), (9, 0)] {
            check(None, capability(major, minor), Dtype::Bf16);
        }
        // V100, T4.
        for (major, minor) in [(7, 0), (7, 5)] {
            check(None, capability(major, minor), Dtype::F16);
            check(Some(Dtype::Bf16), capability(major, minor), Dtype::F16);
            check(Some(Dtype::F32), capability(major, minor), Dtype::F32);
        }
    }

    #[test]
    fn strict_refuses_with_reason_and_remedy() {
        let strict = DtypePolicy { mode: PolicyMode::Strict, ..policy(Some(Dtype::Bf16)) };
        let refused = strict.decide(LAYER, capability(7, 0)).unwrap_err().to_string();
        assert!(
            refused.contains("7.0") && refused.contains("--dtype-policy fallback"),
            "{refused}"
        );
        assert!(strict.decide(LAYER, capability(8, 0)).is_ok());
        // What nobody asked for is no reason to refuse.
        let auto = DtypePolicy { mode: PolicyMode::Strict, ..policy(None) };
        assert_eq!(auto.decide(LAYER, capability(7, 0)).unwrap().compute, Dtype::F16);
    }

    #[test]
    fn the_last_override_counts() {
        let policy = DtypePolicy {
            overrides: vec!["language=bf16".parse().unwrap(), "layers.0-3=f32".parse().unwrap()],
            ..policy(Some(Dtype::F16))
        };
        let compute = |module| policy.decide(module, capability(9, 0)).unwrap().compute;
        assert_eq!(compute(LAYER), Dtype::F32);
        assert_eq!(compute("language_model.model.layers.4"), Dtype::Bf16);
        assert_eq!(compute("vision_model"), Dtype::F16);
    }

    #[test]
    fn quantization_spares_what_it_would_hurt() {
        let policy = DtypePolicy {
            quantization: Some(Quantization::Q8),
            overrides: vec!["layers.0=f32".parse().unwrap()],
            ..policy(None)
        };
        let weights = |module| policy.decide(module, capability(8, 6)).unwrap().weights;
        let q8 = WeightFormat::Quantized(Quantization::Q8);
        assert_eq!(weights(LAYER), q8);
        assert_eq!(weights("language_model.lm_head"), q8);
        assert_eq!(weights("language_model.model.layers.0"), WeightFormat::Dense(Dtype::F32));
        for module in ["vision_model", "mlp1", "language_model.model.embed_tokens"] {
            assert_eq!(weights(module), WeightFormat::Dense(Dtype::Bf16), "{module}");
        }
    }

    #[test]
    fn floats_of_8_bits_are_for_gpus_that_multiply_them() {
        let ask = |mode, requested, module, capability| {
            let quantization = Some(Quantization::Fp8);
            let policy = DtypePolicy { mode, quantization, ..policy(requested) };
            policy.decide(module, capability)
        };
        let [q8, fp8] = [Quantization::Q8, Quantization::Fp8].map(WeightFormat::Quantized);
        // H100; and the output matrix, which has integers without being asked.
        for (module, expected) in [(LAYER, fp8), (HEAD, q8)] {
            let had = ask(PolicyMode::Strict, None, module, capability(9, 0)).unwrap();
            assert_eq!((had.weights, had.reason.as_str()), (expected, ""));
        }
        // L40S, A10, V100, the CPU, and f32 on a GPU that could.
        let lacking = [
            (None, capability(8, 9), "compute capability 8.9"),
            (None, capability(8, 6), "compute capability 8.6"),
            (None, capability(7, 0), "compute capability 7.0"),
            (None, None, "a CPU"),
            (Some(Dtype::F32), capability(9, 0), "bf16 and f16"),
        ];
        for (requested, capability, why) in lacking {
            let had = ask(PolicyMode::Fallback, requested, LAYER, capability).unwrap();
            assert_eq!(had.weights, q8);
            assert!(had.reason.contains(why) && had.reason.ends_with("q8 is used"), "{had:?}");
            let refused = ask(PolicyMode::Strict, requested, LAYER, capability).unwrap_err();
            let text = refused.to_string();
            assert!(text.contains("to be fp8") && text.contains("--quantize q8"), "{text}");
        }
    }

    #[test]
    fn overrides_parse() {
        let parsed: DtypeOverride = "vision=f32".parse().unwrap();
        assert_eq!((parsed.to_string().as_str(), parsed.dtype), ("vision=f32", Dtype::F32));
        assert!(matches!("vision".parse::<DtypeOverride>(), Err(OverrideError::NoPair(_))));
        assert!(matches!("vision=i4".parse::<DtypeOverride>(), Err(OverrideError::Dtype(_))));
        assert!(matches!("audio=f32".parse::<DtypeOverride>(), Err(OverrideError::Pattern(_))));
    }
}
