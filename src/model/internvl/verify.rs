//! What was really loaded, against what was planned.

use candle_core::Tensor;

use super::home::{Home, Homes};
use super::load::LoadError;
use super::observe::Part;
use super::runner::InternVl;
use crate::device::Dtype;
use crate::model::runner::{Placement, SiteRange};

/// Tensors named in an error; more are counted.
const NAMED_MAX: usize = 8;

/// f16 numbers larger than this at start-up leave too little room for other documents: half of the
/// largest f16.
const F16_MAX_ABS: f32 = 32_752.0;

/// The placement of every part as its tensors have it, or the tensors that are not where or what they
/// should be.
pub(super) fn placements(model: &InternVl) -> Result<Vec<Placement>, LoadError> {
    let mut wrong = Vec::new();
    let mut placements = Vec::new();
    for (part, home) in model.homes().iter() {
        let (mut bytes, mut tensors) = (0, 0);
        let lies = if part == Part::Embedding { model.homes().table() } else { home.clone() };
        model.visit(part, &mut |name, tensor| {
            bytes += (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64;
            tensors += 1;
            if let Some(found) = difference(&lies, name, tensor) {
                wrong.push(format!("{part}.{name} {found}"));
            }
        });
        placements.push(Placement {
            replica: 0,
            module: part.to_string(),
            device_id: lies.device.id.clone(),
            requested_dtype: home.decision.requested,
            weights: home.decision.weights,
            compute_dtype: home.decision.compute,
            residual_dtype: home.decision.residual(),
            dtype_reason: home.decision.reason.clone(),
            weight_bytes: bytes,
            tensors,
            is_shared: part == Part::Embedding && model.homes().host.is_some(),
        });
    }
    if wrong.is_empty() {
        return Ok(placements);
    }
    let count = wrong.len();
    wrong.truncate(NAMED_MAX);
    let more =
        if count > NAMED_MAX { format!(", and {} more", count - NAMED_MAX) } else { String::new() };
    Err(LoadError::Misplaced { tensors: format!("{}{more}", wrong.join(", ")) })
}

/// How `tensor` differs from what `home` says.
fn difference(home: &Home, name: &str, tensor: &Tensor) -> Option<String> {
    use candle_core::DType;
    if !tensor.device().same_device(home.candle_device()) {
        return Some(format!("is not on {}", home.device.id));
    }
    let (found, compute) = (tensor.dtype(), home.compute());
    // Matrices are what products read. What is one value for a column may be added to the residual, in its dtype.
    let is_matrix = tensor.rank() > 1 && name.ends_with("weight");
    let planned: &[DType] = match (is_matrix, home.quantization().is_some()) {
        (true, true) => &[DType::U8],
        (true, false) => &[compute],
        // Scales of 8-bit weights are f32.
        (false, true) => &[compute, home.residual(), DType::F32],
        (false, false) => &[compute, home.residual()],
    };
    (!planned.contains(&found)).then(|| format!("is {found:?}, not {:?}", planned[0]))
}

/// Why the model must not be served: the first place whose numbers are not finite.
pub(super) fn first_broken(sites: &[SiteRange]) -> Option<&SiteRange> {
    sites.iter().find(|site| !site.is_finite)
}

/// How far logits by other operations may be from those by plain ones, as [`distance`] has it: what rounding in
/// the coarsest dtype of the model comes to in many layers, several times over. Wrong kernels give 1 and more.
pub(super) fn tolerance(homes: &Homes) -> f32 {
    let is_f32 = homes.iter().all(|(_, home)| home.compute() == candle_core::DType::F32);
    if is_f32 { 1e-3 } else { 0.1 }
}

/// The distance of two rows of logits, as a part of how far `expected` is from its mean. What is added to all
/// logits alike changes no probability, and does not count.
pub(super) fn distance(logits: &[f32], expected: &[f32]) -> f32 {
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / expected.len() as f64;
    let pairs = || logits.iter().zip(expected).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let (offset, middle) =
        (mean(&mut pairs().map(|(a, b)| a - b)), mean(&mut pairs().map(|p| p.1)));
    let error: f64 = pairs().map(|(a, b)| (a - b - offset).powi(2)).sum();
    let spread: f64 = pairs().map(|(_, b)| (b - middle).powi(2)).sum();
    if error == 0.0 { 0.0 } else { (error / spread).sqrt() as f32 }
}

/// The first part whose row in `rows` is farther than `tolerance` from that in `expected`.
pub(super) fn first_different(
    rows: &[(Part, Vec<f32>)],
    expected: &[(Part, Vec<f32>)],
    tolerance: f32,
) -> Option<Part> {
    let of = |part| expected.iter().find(|(known, _)| *known == part).map(|(_, row)| row);
    let differs = |(part, row): &&(Part, Vec<f32>)| {
        let distance = of(*part).map_or(0.0, |expected| distance(row, expected));
        distance.is_nan() || distance > tolerance
    };
    rows.iter().find(differs).map(|(part, _)| *part)
}

/// Modules that come too near to the end of f16's range, each with its worst place. `sites` are in the order of a
/// prompt: what follows a module whose numbers are not finite was made from those, and says nothing of itself.
pub(super) fn near_the_end_of_f16(sites: &[SiteRange]) -> Vec<&SiteRange> {
    let broken = first_broken(sites).map(|site| &site.module);
    let seen = broken.and_then(|module| sites.iter().rposition(|site| site.module == *module));
    let sites = &sites[..seen.map_or(sites.len(), |last| last + 1)];
    let mut worst: Vec<&SiteRange> = Vec::new();
    for site in sites.iter().filter(|site| site.dtype == Dtype::F16) {
        if site.is_finite && site.max_abs <= F16_MAX_ABS {
            continue;
        }
        match worst.iter_mut().find(|known| known.module == site.module) {
            Some(known) if site.max_abs > known.max_abs || !site.is_finite => *known = site,
            Some(_) => {}
            None => worst.push(site),
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(module: &str, dtype: Dtype, max_abs: f32) -> SiteRange {
        SiteRange {
            module: module.to_owned(),
            site: "mlp_product",
            dtype,
            max_abs,
            is_finite: max_abs.is_finite(),
        }
    }

    #[test]
    fn what_all_logits_have_in_common_is_no_distance() {
        let expected = [1.0, -2.0, 4.0, 0.5];
        assert!(distance(&expected.map(|x| x + 3.0), &expected) < 1e-6);
        assert!((distance(&expected.map(|x| x * 1.1), &expected) - 0.1).abs() < 1e-5);
        assert!(distance(&[4.0, 1.0, -2.0, 0.5], &expected) > 1.0);
        assert!(distance(&[0.0; 4], &[7.0; 4]) < 1e-6);
        assert!(distance(&[1.0, f32::NAN, 2.0, 0.0], &expected).is_nan());
    }

    #[test]
    fn a_matrix_in_the_residual_s_dtype_is_not_as_planned() {
        use candle_core::{DType, Device};

        use crate::device;
        use crate::placement::{DtypeDecision, Quantization, WeightFormat};
        let home = |weights| Home {
            index: 0,
            device: device::open(&"cpu".parse().unwrap()).unwrap().remove(0),
            decision: DtypeDecision {
                requested: Dtype::F16,
                compute: Dtype::F16,
                weights,
                reason: String::new(),
            },
        };
        let (dense, q8) = (
            home(WeightFormat::Dense(Dtype::F16)),
            home(WeightFormat::Quantized(Quantization::Q8)),
        );
        let tensor = |dtype, rank: usize| {
            Tensor::ones(vec![2; rank], DType::F32, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
        };
        for (home, name, dtype, rank, is_right) in [
            (&dense, "mlp.down_proj.weight", DType::F16, 2, true),
            (&dense, "mlp.down_proj.weight", DType::F32, 2, false),
            (&dense, "input_layernorm.weight", DType::F32, 1, true),
            (&dense, "input_layernorm.weight", DType::BF16, 1, false),
            (&dense, "embeddings.position_embedding", DType::F32, 2, true),
            (&q8, "mlp.down_proj.weight", DType::U8, 2, true),
            (&q8, "mlp.down_proj.weight", DType::F16, 2, false),
            (&q8, "mlp.down_proj.scales", DType::F32, 1, true),
        ] {
            let found = difference(home, name, &tensor(dtype, rank));
            assert_eq!(found.is_none(), is_right, "{name} in {dtype:?}: {found:?}");
        }
    }

    #[test]
    fn only_f16_has_an_end_to_come_near_to() {
        let sites = [
            site("a", Dtype::F16, 32_000.0),
            site("b", Dtype::F16, 33_000.0),
            site("b", Dtype::F16, 60_000.0),
            site("c", Dtype::F32, 1e30),
            site("d", Dtype::Bf16, 1e30),
            site("e", Dtype::F16, f32::INFINITY),
            site("e", Dtype::F16, f32::NAN),
            // Made from what is broken.
            site("f", Dtype::F16, f32::NAN),
            site("g", Dtype::F16, 60_000.0),
        ];
        let near: Vec<_> =
            near_the_end_of_f16(&sites).iter().map(|s| (&*s.module, s.max_abs)).collect();
        let modules: Vec<&str> = near.iter().map(|(module, _)| *module).collect();
        assert_eq!((modules, near[0].1), (vec!["b", "e"], 60_000.0));
        assert_eq!(first_broken(&sites).map(|site| &*site.module), Some("e"));
    }
}
