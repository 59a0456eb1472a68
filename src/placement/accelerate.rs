//! The string maps of accelerate: `balanced`, `balanced_low_0` and `sequential`.
//!
//! The same decisions, of weights alone: modules are walked in the order of their definition, vision
//! tower, language model, projector, and a device that was left is never looked at again. Sizes are
//! those of the dtype that a module has on the device in question, so equal devices get what accelerate
//! gives them. Four differences: the projector is placed as a whole, what accelerate would offload to
//! the host goes to the last device, which is then over its budget, only devices that are in the
//! list are used, and a single GPU keeps a tenth of its memory free also where `--max-memory` is given,
//! which accelerate takes as it is.

use super::auto::Choice;
use super::cost::{ModuleKind, Part};
use super::prices::Prices;

/// A module of the reference's tree.
#[derive(Debug, Clone)]
enum Node {
    /// Never split; the number is the module's.
    Block(usize),
    /// Placed as a whole here, though the reference could split it: its parts count as layers of
    /// their own where room is kept for the largest.
    Parts(usize),
    /// Has no weights: the rotary tables.
    Empty,
    Inner(Vec<Node>),
}

/// How limits are set before the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Balance {
    Even,
    /// As little as possible on the first.
    LowFirst,
    /// Each as much as it has.
    None,
}

/// A layer that cannot be split: its module, its bytes.
type Largest = (u64, Vec<usize>);

pub(super) fn choose(prices: &Prices<'_>, balance: Balance) -> Choice {
    let gpus = prices.accelerators();
    let mut limits: Vec<i128> =
        prices.devices.iter().map(|device| i128::from(device.memory_bytes)).collect();
    if balance != Balance::None {
        balance_limits(prices, &gpus, &mut limits, balance == Balance::LowFirst);
    }
    // The host comes after the GPUs.
    let rest = (0..prices.devices.len()).filter(|device| !gpus.contains(device));
    let order: Vec<usize> = gpus.iter().copied().chain(rest).collect();
    let devices = walk(prices, &order, &limits);
    let reason = match balance {
        Balance::Even => "as accelerate spreads weights evenly",
        Balance::LowFirst => "as accelerate keeps the first GPU free",
        Balance::None => "as accelerate fills one device after the other",
    };
    Choice { devices, reason: reason.to_owned() }
}

/// Lowers the limits of all GPUs but the last to an even share and a buffer.
fn balance_limits(prices: &Prices<'_>, gpus: &[usize], limits: &mut [i128], low_first: bool) {
    let low_first = low_first && gpus.len() > 1;
    if let [only] = gpus {
        limits[*only] = limits[*only] * 9 / 10;
    }
    // Where dtypes differ by device, the largest counts.
    let largest = |bytes: &dyn Fn(usize) -> u64| -> i128 {
        gpus.iter().map(|device| i128::from(bytes(*device))).max().unwrap_or(0)
    };
    let modules = 0..prices.cost.modules.len();
    let total =
        largest(&|device| modules.clone().map(|module| bytes(prices, device, module)).sum());
    let block = largest(&|device| {
        let kinds = [ModuleKind::Vision, ModuleKind::Layer];
        let blocks = kinds.iter().filter_map(|kind| prices.cost.find(*kind));
        blocks.map(|module| bytes(prices, device, module)).max().unwrap_or(0)
    });
    let leaf = largest(&|device| mean_part(prices, device));
    let shares = gpus.len() - usize::from(low_first);
    let share = total / shares.max(1) as i128 + block.max(leaf) * 5 / 4;
    let Some((_, but_last)) = gpus.split_last() else { return };
    for (index, device) in but_last.iter().enumerate() {
        // The first keeps its own until the others' shares are known.
        if !(low_first && index == 0) {
            limits[*device] = limits[*device].min(share);
        }
    }
    if low_first {
        let others: i128 = gpus[1..].iter().map(|device| limits[*device]).sum();
        limits[gpus[0]] = limits[gpus[0]].min((total - others).max(0));
    }
}

/// Mean size of a layer with weights of its own.
fn mean_part(prices: &Prices<'_>, device: usize) -> u64 {
    let sizes: Vec<u64> = (0..prices.cost.modules.len())
        .filter(|module| bytes(prices, device, *module) > 0)
        .flat_map(|module| part_bytes(prices, device, module))
        .filter(|bytes| *bytes > 0)
        .collect();
    sizes.iter().sum::<u64>() / (sizes.len() as u64).max(1)
}

/// Of the weights; a tied head has none of its own and follows the embedding.
fn bytes(prices: &Prices<'_>, device: usize, module: usize) -> u64 {
    let head = prices.cost.modules[module].kind == ModuleKind::Head;
    if head && prices.cost.tied_head { 0 } else { prices.price(device, module).weights }
}

fn part_bytes(prices: &Prices<'_>, device: usize, module: usize) -> Vec<u64> {
    let decision = &prices.price(device, module).decision;
    let bytes = |part: &Part| part.bytes(decision);
    prices.cost.modules[module].parts.iter().map(bytes).collect()
}

/// The tree in the order in which the original code defines its modules.
fn tree(prices: &Prices<'_>) -> Vec<Node> {
    let of = |kind: ModuleKind| -> Vec<Node> {
        let modules = prices.cost.modules.iter().enumerate();
        let found = modules.filter(|(_, module)| module.kind == kind);
        let node = |index| {
            if kind == ModuleKind::Projector { Node::Parts(index) } else { Node::Block(index) }
        };
        found.map(|(index, _)| node(index)).collect()
    };
    let decoder = Node::Inner(
        [
            of(ModuleKind::Embedding),
            vec![Node::Inner(of(ModuleKind::Layer))],
            of(ModuleKind::Norm),
            vec![Node::Empty],
        ]
        .concat(),
    );
    let language = Node::Inner([vec![decoder], of(ModuleKind::Head)].concat());
    [of(ModuleKind::Vision), vec![language], of(ModuleKind::Projector)].concat()
}

impl Node {
    fn modules(&self) -> Vec<usize> {
        match self {
            Self::Block(module) | Self::Parts(module) => vec![*module],
            Self::Empty => Vec::new(),
            Self::Inner(children) => children.iter().flat_map(Self::modules).collect(),
        }
    }

    fn bytes(&self, prices: &Prices<'_>, device: usize) -> u64 {
        self.modules().into_iter().map(|module| bytes(prices, device, module)).sum()
    }

    /// Sizes of what cannot be split, each with its module.
    fn unsplittable(&self, prices: &Prices<'_>, device: usize) -> Vec<(usize, u64)> {
        match self {
            Self::Block(module) => vec![(*module, bytes(prices, device, *module))],
            Self::Parts(module) => {
                part_bytes(prices, device, *module).into_iter().map(|b| (*module, b)).collect()
            }
            Self::Empty => Vec::new(),
            Self::Inner(children) => {
                children.iter().flat_map(|child| child.unsplittable(prices, device)).collect()
            }
        }
    }
}

/// The largest that cannot be split, and the modules that have that size.
fn largest_unsplittable(prices: &Prices<'_>, device: usize, nodes: &[Node]) -> Largest {
    let all: Vec<(usize, u64)> =
        nodes.iter().flat_map(|node| node.unsplittable(prices, device)).collect();
    let largest = all.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    let owners = all.iter().filter(|(_, bytes)| *bytes == largest && largest > 0);
    (largest, owners.map(|(module, _)| *module).collect())
}

/// Places node after node on the current device, opens those that do not fit, and moves on to the next
/// device for good where one cannot be opened. The first device and the host keep room for the largest
/// layer that is still to come.
fn walk(prices: &Prices<'_>, order: &[usize], limits: &[i128]) -> Vec<usize> {
    let mut placed = vec![0; prices.cost.modules.len()];
    let mut todo = tree(prices);
    let mut used = vec![0_i128; prices.devices.len()];
    let mut current = 0;
    let mut kept = largest_unsplittable(prices, order[0], &todo);
    while !todo.is_empty() {
        let node = todo.remove(0);
        let device = order[current];
        let inside = node.modules();
        kept.1.retain(|module| !inside.contains(module));
        if kept.1.is_empty() {
            kept = largest_unsplittable(prices, device, &todo);
        }
        let main = current == 0 || prices.devices[device].capability.is_none();
        let limit = limits[device] - if main { i128::from(kept.0) } else { 0 };
        let bytes = i128::from(node.bytes(prices, device));
        // What is left over has to go somewhere.
        let last = current + 1 == order.len();
        let fits = used[device] + bytes <= limit;
        match node {
            Node::Inner(children) if !fits && !children.is_empty() => {
                todo.splice(0..0, children);
                kept = largest_unsplittable(prices, device, &todo);
            }
            node if !fits && !last => {
                current += 1;
                todo.insert(0, node);
            }
            _ => {
                used[device] += bytes;
                for module in inside {
                    placed[module] = device;
                }
            }
        }
    }
    follow_embedding(prices, &mut placed);
    placed
}

/// A tied head lies where the embedding does.
fn follow_embedding(prices: &Prices<'_>, placed: &mut [usize]) {
    let embedding = prices.cost.find(ModuleKind::Embedding);
    let head = prices.cost.find(ModuleKind::Head);
    if let (true, Some(embedding), Some(head)) = (prices.cost.tied_head, embedding, head) {
        placed[head] = placed[embedding];
    }
}
