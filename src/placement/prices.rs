//! What each module would cost on each device: the cost table in bytes.

use super::cost::{Demand, ModelCost, ModuleCost, ModuleKind, has_fused_kernels};
use super::dtype_policy::{DtypeDecision, DtypePolicy, DtypeRefused, PolicyMode, WeightFormat};
use super::fleet::DeviceSpec;

/// Of each GPU: the driver's context and loaded kernels, the matrix library's workspace, decode graphs, and
/// what the memory pool keeps between uses. An estimate from above: on H100s it was 1.4 GiB once the server was ready
/// and 2.0 GiB after a load of large pages. A server that has started sees the context as memory that is not free.
pub const CUDA_RESERVE_BYTES: u64 = 2 << 30;

/// One module on one device.
#[derive(Debug, Clone)]
pub(super) struct Price {
    pub(super) decision: DtypeDecision,
    /// The decision was refused, under [`PolicyMode::Strict`].
    pub(super) refused: Option<DtypeRefused>,
    pub(super) weights: u64,
    /// Weights that are in the host's memory instead.
    pub(super) host_weights: u64,
    pub(super) kv_per_token: u64,
    pub(super) held_per_token: u64,
    pub(super) peak: u64,
    pub(super) standing: u64,
}

/// Sums over the modules of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usage {
    pub(super) weights: u64,
    pub(super) kv_per_token: u64,
    pub(super) held_per_token: u64,
    /// Modules run one after the other: the largest.
    pub(super) peak: u64,
    pub(super) standing: u64,
    /// Of the embedding, where its table is here: a tied head is then free.
    embedding: Option<WeightFormat>,
}

/// All prices.
#[derive(Debug)]
pub(super) struct Prices<'a> {
    pub(super) cost: &'a ModelCost,
    pub(super) devices: &'a [DeviceSpec],
    pub(super) demand: Demand,
    /// By device, then by module.
    table: Vec<Vec<Price>>,
}

impl<'a> Prices<'a> {
    pub(super) fn new(
        cost: &'a ModelCost,
        devices: &'a [DeviceSpec],
        policy: &DtypePolicy,
        demand: &Demand,
    ) -> Result<Self, DtypeRefused> {
        let columns = devices.iter().map(|device| column(cost, device, policy, demand));
        let table = columns.collect::<Result<_, _>>()?;
        Ok(Self { cost, devices, demand: *demand, table })
    }

    pub(super) fn price(&self, device: usize, module: usize) -> &Price {
        &self.table[device][module]
    }

    /// Whether some module may not have its dtype there.
    pub(super) fn refuses(&self, device: usize) -> bool {
        self.table[device].iter().any(|price| price.refused.is_some())
    }

    /// `usage` with one more module.
    pub(super) fn add(&self, usage: Usage, device: usize, module: usize) -> Usage {
        let price = self.price(device, module);
        let kind = self.cost.modules[module].kind;
        let shared = kind == ModuleKind::Head
            && self.cost.tied_head
            && usage.embedding == Some(price.decision.weights);
        Usage {
            weights: usage.weights + if shared { 0 } else { price.weights },
            kv_per_token: usage.kv_per_token + price.kv_per_token,
            held_per_token: usage.held_per_token + price.held_per_token,
            peak: usage.peak.max(price.peak),
            standing: usage.standing + price.standing,
            embedding: match kind {
                ModuleKind::Embedding if price.host_weights == 0 => Some(price.decision.weights),
                _ => usage.embedding,
            },
        }
    }

    /// Of some modules, in the model's order.
    pub(super) fn usage(&self, device: usize, modules: impl IntoIterator<Item = usize>) -> Usage {
        modules.into_iter().fold(Usage::default(), |usage, module| self.add(usage, device, module))
    }

    /// What a device that holds something loses before anything is placed on it.
    pub(super) fn reserve(&self, device: usize) -> u64 {
        if self.devices[device].capability.is_some() { CUDA_RESERVE_BYTES } else { 0 }
    }

    /// Bytes of a device that holds `usage` and KV entries of `tokens`.
    pub(super) fn total(&self, device: usize, usage: &Usage, tokens: u64) -> u64 {
        let by_token = (usage.kv_per_token + usage.held_per_token).saturating_mul(tokens);
        [self.reserve(device), usage.weights, usage.peak, usage.standing]
            .into_iter()
            .fold(by_token, u64::saturating_add)
    }

    /// Tokens for which the device has room; none where nothing grows with them.
    pub(super) fn tokens(&self, device: usize, usage: &Usage) -> Option<u64> {
        if *usage == Usage::default() {
            return None;
        }
        let total = self.total(device, usage, 0);
        match self.devices[device].memory_bytes.checked_sub(total) {
            Some(room) => room.checked_div(usage.kv_per_token + usage.held_per_token),
            // Without room for its weights it has none for tokens either.
            None => Some(0),
        }
    }

    /// GPUs, or all devices where there are none.
    pub(super) fn accelerators(&self) -> Vec<usize> {
        let all = 0..self.devices.len();
        let gpus: Vec<usize> =
            all.clone().filter(|index| self.devices[*index].capability.is_some()).collect();
        if gpus.is_empty() { all.collect() } else { gpus }
    }
}

fn column(
    cost: &ModelCost,
    device: &DeviceSpec,
    policy: &DtypePolicy,
    demand: &Demand,
) -> Result<Vec<Price>, DtypeRefused> {
    let lenient = DtypePolicy { mode: PolicyMode::Fallback, ..policy.clone() };
    // The decoder takes the fused kernels where all of its layers can.
    let mut layers = cost.modules.iter().filter(|module| module.kind == ModuleKind::Layer);
    let fused_layers = layers.all(|layer| {
        let decision = lenient.decide(&layer.name, device.capability);
        decision.is_ok_and(|decision| has_fused_kernels(device.capability, decision.compute))
    });
    let price = |module: &ModuleCost| {
        let (decision, refused) = match policy.decide(&module.name, device.capability) {
            Ok(decision) => (decision, None),
            // Priced as if it were allowed: it matters only to what is placed here.
            Err(refused) => (lenient.decide(&module.name, device.capability)?, Some(refused)),
        };
        let size = decision.compute.size_bytes() as u64;
        let bytes = module.bytes(&decision);
        let plain = !fused_layers && module.kind == ModuleKind::Layer;
        let module = if plain { &ModuleCost { fused: None, ..module.clone() } } else { module };
        let on_host = cost.host_embedding
            && module.kind == ModuleKind::Embedding
            && device.capability.is_some();
        Ok(Price {
            weights: if on_host { 0 } else { bytes },
            host_weights: if on_host { bytes } else { 0 },
            kv_per_token: module.kv_values * size,
            held_per_token: module.held_values * size,
            peak: module.peak_bytes(&decision, device.capability, cost, demand),
            standing: module.standing_bytes(&decision, device.capability, cost, demand),
            decision,
            refused,
        })
    };
    cost.modules.iter().map(price).collect()
}
