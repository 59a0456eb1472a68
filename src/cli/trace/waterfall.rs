//! Spans as bars along one axis of time. Steps are too many for a line each: they are one line that
//! shows how long each took, unless each is asked for.

use super::read::{Span, Trace};
use crate::cli::term::{Style, Term};

/// Columns for names, and for times at the right.
const NAME_COLUMNS: usize = 34;
const TIME_COLUMNS: usize = 10;
const BAR_COLUMNS_MIN: usize = 20;
const BAR_COLUMNS_MAX: usize = 120;

const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Spans of this name are told together.
const STEP: &str = "decode_step";

struct Axis {
    start_ns: u64,
    total_ns: u64,
    columns: usize,
}

pub(super) fn lines(trace: &Trace, term: &Term, each_step: bool) -> Vec<String> {
    let columns = term.columns.saturating_sub(NAME_COLUMNS + TIME_COLUMNS + 2);
    let axis = Axis {
        start_ns: trace.start_ns(),
        total_ns: (trace.end_ns() - trace.start_ns()).max(1),
        columns: columns.clamp(BAR_COLUMNS_MIN, BAR_COLUMNS_MAX),
    };
    let mut lines = Vec::new();
    for root in &trace.roots {
        span_lines(root, 0, &axis, (term, each_step), &mut lines);
    }
    lines
}

fn span_lines(
    span: &Span,
    depth: usize,
    axis: &Axis,
    (term, each_step): (&Term, bool),
    lines: &mut Vec<String>,
) {
    let bar = axis.bar(span.start_ns, span.end_ns);
    let note = note(span);
    let style = if span.is_error { Style::Bad } else { Style::Good };
    lines.push(row(
        depth,
        &span.name,
        &term.paint(style, &bar),
        bar.chars().count(),
        axis,
        span.ms(),
    ));
    if !note.is_empty() {
        let indent = " ".repeat(depth * 2 + 2);
        lines.push(term.paint(Style::Dim, &format!("{indent}{note}")));
    }
    let steps: Vec<&Span> = span.children.iter().filter(|child| child.name == STEP).collect();
    if !steps.is_empty() && !each_step {
        lines.push(steps_row(&steps, depth + 1, axis, term));
    }
    for child in &span.children {
        if each_step || child.name != STEP {
            span_lines(child, depth + 1, axis, (term, each_step), lines);
        }
    }
}

fn row(
    depth: usize,
    name: &str,
    painted: &str,
    painted_columns: usize,
    axis: &Axis,
    ms: f64,
) -> String {
    let name: String = format!("{}{name}", "  ".repeat(depth)).chars().take(NAME_COLUMNS).collect();
    let gap = " ".repeat(axis.columns.saturating_sub(painted_columns));
    format!("{name:<NAME_COLUMNS$} {painted}{gap} {:>TIME_COLUMNS$}", format!("{ms:.1} ms"))
}

/// How long the steps of each column of the axis took, the longest one setting the height.
fn steps_row(steps: &[&Span], depth: usize, axis: &Axis, term: &Term) -> String {
    let mut longest = vec![0.0_f64; axis.columns];
    for step in steps {
        let column = axis.column(step.start_ns).min(axis.columns - 1);
        longest[column] = longest[column].max(step.ms());
    }
    let most = longest.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let height = |ms: f64| HEIGHTS[((ms / most * 7.0).round() as usize).min(7)];
    let bar: String = longest.iter().map(|ms| if *ms > 0.0 { height(*ms) } else { ' ' }).collect();
    let total = steps.iter().map(|step| step.ms()).sum::<f64>();
    let name = format!("{STEP} ×{}", steps.len());
    row(
        depth,
        &name,
        &term.paint(Style::Good, &bar),
        axis.columns,
        axis,
        total / steps.len() as f64,
    )
}

impl Axis {
    fn column(&self, at_ns: u64) -> usize {
        let after = at_ns.saturating_sub(self.start_ns) as f64;
        (after / self.total_ns as f64 * self.columns as f64) as usize
    }

    fn bar(&self, start_ns: u64, end_ns: u64) -> String {
        let from = self.column(start_ns).min(self.columns - 1);
        let to = self.column(end_ns).clamp(from, self.columns);
        let blocks = if to > from { "█".repeat(to - from) } else { "▏".to_owned() };
        format!("{}{blocks}", " ".repeat(from))
    }
}

/// What a span's attributes say, in the words that matter.
fn note(span: &Span) -> String {
    let text = |key: &str| span.attributes.get(key).cloned();
    let number = |key: &str, unit: &str| {
        span.number(key).map(|value| {
            let value =
                if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") };
            format!("{value}{unit}")
        })
    };
    let parts = [
        number("gen_ai.usage.input_tokens", " tokens in"),
        number("gen_ai.usage.output_tokens", " out"),
        text("error.type"),
        number("tessera.queue.position_at_enqueue", " ahead"),
        number("tessera.vision.tiles", " tiles"),
        text("tessera.device").filter(|device| !device.is_empty()),
        text("tessera.dtype").filter(|dtype| !dtype.is_empty()),
        number("tessera.prefill.tokens", " tokens"),
        number("tessera.prefill.cached_tokens", " cached").filter(|t| !t.starts_with("0 ")),
        number("tessera.preempted.tokens", " tokens to take in again"),
        number("tessera.decode.steps", " steps"),
        number("tessera.decode.steps_elided", " of them without a span")
            .filter(|t| !t.starts_with("0 ")),
        number("tessera.decode.tokens_forced", " tokens forced").filter(|t| !t.starts_with("0 ")),
        number("tessera.decode.preemptions", " times preempted").filter(|t| !t.starts_with("0 ")),
        number("tessera.decode.step_ms.p50", " ms p50"),
        number("tessera.decode.step_ms.p99", " ms p99"),
        text("tessera.finish_reason"),
        number("tessera.step.index", "").map(|index| format!("step {index}")),
        number("tessera.step.tokens", " tokens").filter(|t| t != "1 tokens"),
        number("tessera.step.batch_size", " in the batch"),
        number("tessera.step.ms", " ms forward"),
        number("tessera.step.sample_ms", " ms sampling"),
        number("tessera.step.grammar_ms", " ms grammar").filter(|t| !t.starts_with("0 ")),
        span.number("tessera.field.confidence").map(|share| format!("{share:.2} confidence")),
    ];
    parts.into_iter().flatten().chain(devices(span)).collect::<Vec<_>>().join(", ")
}

/// What a step took on each device, and between them, where its trace has that.
fn devices(span: &Span) -> impl Iterator<Item = String> {
    let on_each = span.attributes.iter().filter_map(|(key, value)| {
        let name = key.strip_prefix("tessera.device.")?.strip_suffix(".ms")?;
        let device = match name.rsplit_once('_') {
            Some((kind, index)) => format!("{kind}:{index}"),
            None => name.to_owned(),
        };
        Some(format!("{device} {:.2} ms", value.parse::<f64>().ok()?))
    });
    let between = span.number("tessera.hop.ms").filter(|ms| *ms > 0.0);
    on_each.chain(between.map(|ms| format!("hops {ms:.3} ms")))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn span(name: &str, start_ms: u64, end_ms: u64, children: Vec<Span>) -> Span {
        let name = name.to_owned();
        let (start_ns, end_ns) = (start_ms * 1_000_000, end_ms * 1_000_000);
        Span { name, start_ns, end_ns, children, ..Span::default() }
    }

    fn term() -> Term {
        Term { stdout: false, stderr: false, color: false, columns: 90 }
    }

    fn trace() -> Trace {
        let steps = (0..10).map(|n| span(STEP, 50 + n * 5, 50 + n * 5 + 1 + n / 3, Vec::new()));
        let mut decode = span("decode", 50, 100, steps.collect());
        decode.attributes.insert("tessera.decode.steps".to_owned(), "10".to_owned());
        decode.attributes.insert("tessera.decode.step_ms.p50".to_owned(), "2.125".to_owned());
        let children =
            vec![span("queue", 0, 0, Vec::new()), span("prefill", 10, 50, Vec::new()), decode];
        Trace { id: "4b".to_owned(), roots: vec![span("call", 0, 100, children)], spans: 14 }
    }

    #[test]
    fn bars_along_one_axis() {
        expect![[r#"
            call                               ████████████████████████████████████████████   100.0 ms
              queue                            ▏                                                0.0 ms
              prefill                              ██████████████████                          40.0 ms
              decode                                                 ██████████████████████    50.0 ms
                10 steps, 2.12 ms p50
                decode_step ×10                                      ▃ ▃ ▃ ▅ ▅  ▅ ▆ ▆ ▆ █       2.2 ms"#]].assert_eq(&lines(&trace(), &term(), false).join("\n"));
    }

    #[test]
    fn a_step_on_several_devices() {
        let mut step = span(STEP, 0, 4, Vec::new());
        for (key, value) in [
            ("tessera.step.index", "7"),
            ("tessera.device.cuda_0.ms", "0.5765"),
            ("tessera.device.cuda_1.ms", "1.42176"),
            ("tessera.hop.ms", "0.04048"),
        ] {
            step.attributes.insert(key.to_owned(), value.to_owned());
        }
        assert_eq!(note(&step), "step 7, cuda:0 0.58 ms, cuda:1 1.42 ms, hops 0.040 ms");
        step.attributes.insert("tessera.hop.ms".to_owned(), "0".to_owned());
        assert!(!note(&step).contains("hops"), "one device has no hops");
    }

    #[test]
    fn each_step_on_demand() {
        let lines = lines(&trace(), &term(), true);
        assert_eq!(lines.iter().filter(|line| line.contains(STEP)).count(), 10);
    }
}
