//! A plan for people: a bar for each device, what lies there, and what fits.

use std::collections::BTreeSet;

use super::{ANSWER_TOKENS, PROMPT_TOKENS, Report};
use crate::cli::term::{Style, Term, cut, pad, wrap};
use crate::placement::{Bytes, Demand, DevicePlan, PlannedModule, layer_number, ranges};

const BAR_COLUMNS: usize = 32;
/// Processors have long names.
const NAME_COLUMNS_MAX: usize = 20;
const INDENT: &str = "    ";

pub(super) fn lines(report: &Report, term: &Term) -> Vec<String> {
    let plan = &report.plan;
    let name = term.paint(Style::Bold, &report.model);
    let mut lines = vec![format!("{name}, --device-map {}", report.map)];
    lines.extend(wrap(&plan.reason, term.columns - 3).into_iter().map(|line| format!("  {line}")));
    let widest = |text: &dyn Fn(&DevicePlan) -> usize| plan.devices.iter().map(text).max();
    let columns = [
        widest(&|device| device.spec.id.len()).unwrap_or(0),
        widest(&|device| device.spec.name.len()).unwrap_or(0).min(NAME_COLUMNS_MAX),
    ];
    for (index, device) in plan.devices.iter().enumerate() {
        lines.extend(device_lines(report, index, device, columns, term));
    }
    lines.push(term.paint(Style::Dim, "  █ weights  ▓ KV  ▒ activations  ░ reserve  · free"));
    lines.push(String::new());
    lines.extend(tokens(report).into_iter().map(|line| format!("  {line}")));
    lines.extend(verdict(report, term));
    lines
}

/// One device: its bar, its modules, its bytes.
fn device_lines(
    report: &Report,
    index: usize,
    device: &DevicePlan,
    [ids, names]: [usize; 2],
    term: &Term,
) -> Vec<String> {
    let over = device.used_bytes() > device.spec.memory_bytes;
    let used = format!("{} of {}", Bytes(device.used_bytes()), Bytes(device.spec.memory_bytes));
    let head = format!(
        "  {}  {}  {}  {}",
        pad(&device.spec.id, ids),
        pad(&cut(&device.spec.name, names), names),
        bar(device),
        if over { term.paint(Style::Bad, &used) } else { used },
    );
    let placed: Vec<&PlannedModule> =
        report.plan.placements.iter().filter(|placed| placed.device == index).collect();
    if placed.is_empty() {
        return vec![head];
    }
    let bytes = format!(
        "weights {}, KV {}, activations {}, reserve {}",
        Bytes(device.weight_bytes),
        Bytes(device.kv_bytes),
        Bytes(device.activation_bytes),
        Bytes(device.reserve_bytes),
    );
    let room = term.columns.saturating_sub(INDENT.len() + 1);
    let mut lines = vec![head];
    lines.extend(wrap(&modules(&placed), room).into_iter().map(|line| format!("{INDENT}{line}")));
    for line in wrap(&bytes, room) {
        lines.push(format!("{INDENT}{}", term.paint(Style::Dim, &line)));
    }
    lines
}

/// Shares of the device's memory; of what it would need, where that is more.
fn bar(device: &DevicePlan) -> String {
    let whole = device.spec.memory_bytes.max(device.used_bytes()).max(1);
    let mut bar = String::new();
    let mut drawn = 0;
    let mut sum = 0_u64;
    let parts = [
        ('█', device.weight_bytes),
        ('▓', device.kv_bytes),
        ('▒', device.activation_bytes),
        ('░', device.reserve_bytes),
        ('·', whole),
    ];
    for (sign, bytes) in parts {
        sum = sum.saturating_add(bytes).min(whole);
        // Rounded at the sum, so that the parts never add up to more than the bar.
        let end = (sum as f64 / whole as f64 * BAR_COLUMNS as f64).round() as usize;
        bar.extend(std::iter::repeat_n(sign, end - drawn));
        drawn = end;
    }
    bar
}

/// `vision_model, mlp1, embed_tokens, layers 0-11 in bf16`, with the reason of a dtype that is not the
/// one asked for.
fn modules(placed: &[&PlannedModule]) -> String {
    let formats: BTreeSet<String> = placed.iter().map(|placed| format(placed)).collect();
    let one = formats.len() == 1;
    let mut groups: Vec<String> = Vec::new();
    for group in placed.chunk_by(|a, b| is_layer(a) && is_layer(b) && format(a) == format(b)) {
        let name = match layer_number(&group[0].module) {
            Some(_) => {
                let numbers = group.iter().filter_map(|placed| layer_number(&placed.module));
                let word = if group.len() == 1 { "layer" } else { "layers" };
                format!("{word} {}", ranges(numbers))
            }
            None => group[0].module.rsplit('.').next().unwrap_or_default().to_owned(),
        };
        groups.push(if one { name } else { format!("{name} {}", format(group[0])) });
    }
    let reasons: BTreeSet<&str> = placed
        .iter()
        .map(|placed| placed.decision.reason.as_str())
        .filter(|reason| !reason.is_empty())
        .collect();
    let mut text = groups.join(", ");
    if one {
        text = format!("{text} in {}", format(placed[0]));
    }
    for reason in reasons {
        text = format!("{text} ({reason})");
    }
    text
}

fn is_layer(placed: &PlannedModule) -> bool {
    layer_number(&placed.module).is_some()
}

fn format(placed: &PlannedModule) -> String {
    let place = if placed.on_host { " in the host's memory" } else { "" };
    format!("{}{place}", placed.decision.weights)
}

/// What the memory that remains is good for.
fn tokens(report: &Report) -> Vec<String> {
    let (plan, demand, page) = (&report.plan, &report.demand, report.page);
    vec![
        format!(
            "KV: room for {} tokens of {}; {} are reserved ({})",
            grouped(plan.kv_tokens),
            Bytes(plan.kv_bytes_per_token),
            grouped(demand.tokens()),
            reserved(demand),
        ),
        format!("pages at once, with as many slots: {}", plan.kv_tokens / page.tokens() as u64),
        format!(
            "  a page: {} tiles of {} tokens, {PROMPT_TOKENS} of prompt, {ANSWER_TOKENS} of answer",
            page.tiles, page.tokens_per_tile,
        ),
        match plan.crossings {
            0 => "a token stays on one device".to_owned(),
            1 => "a token crosses to another device once".to_owned(),
            times => format!("a token crosses to another device {times} times"),
        },
    ]
}

/// What the reserved tokens are for.
fn reserved(demand: &Demand) -> String {
    let (slots, longest) = (demand.slots, grouped(demand.slot_tokens as u64));
    match demand.kv_tokens {
        None => format!("{slots} slots of {longest}"),
        Some(_) => format!("shared by {slots} slots of up to {longest}"),
    }
}

/// `244,627`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn verdict(report: &Report, term: &Term) -> Vec<String> {
    if report.plan.fits {
        return vec![format!("  {}", term.paint(Style::Good, "fits"))];
    }
    let mut lines = vec![format!("  {}", term.paint(Style::Bad, "does not fit"))];
    let room = term.columns.saturating_sub(INDENT.len() + 1);
    for problem in &report.plan.problems {
        lines.extend(wrap(&problem.to_string(), room).into_iter().map(|l| format!("{INDENT}{l}")));
    }
    lines.push(match &report.advice[..] {
        [] => "  try: a smaller model, or devices with more memory".to_owned(),
        advice => {
            let each: Vec<String> = advice.iter().map(ToString::to_string).collect();
            format!("  try: {}", each.join(", or "))
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::DeviceSpec;

    fn device(memory: u64, parts: [u64; 4]) -> DevicePlan {
        let [weight_bytes, kv_bytes, activation_bytes, reserve_bytes] = parts;
        DevicePlan {
            spec: DeviceSpec {
                id: "cuda:0".to_owned(),
                name: "gpu".to_owned(),
                capability: None,
                memory_bytes: memory,
            },
            weight_bytes,
            kv_bytes,
            activation_bytes,
            reserve_bytes,
            kv_tokens: None,
        }
    }

    #[test]
    fn long_numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_032_880, "1,032,880")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn bars_are_always_full() {
        for (memory, parts, expected) in [
            (32, [16, 8, 0, 4], "████████████████▓▓▓▓▓▓▓▓░░░░····"),
            (32, [0, 0, 0, 0], "································"),
            (0, [0, 0, 0, 0], "································"),
            // Of what is needed, where there is less.
            (8, [24, 8, 0, 0], "████████████████████████▓▓▓▓▓▓▓▓"),
        ] {
            assert_eq!(bar(&device(memory, parts)), expected);
        }
    }
}
