//! Charts as SVG text: axes with round ticks, lines, points, bars. No fonts, no scripts, no colours
//! that only some can tell apart.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 48.0;
/// Ticks that an axis has about.
const TICKS: f64 = 6.0;
/// Okabe and Ito's colours, which colour-blind readers tell apart.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// Joined, each with a dot.
    Line,
    /// Joined, without dots.
    Curve,
    Points,
    /// From 0 up, as wide as the space between them.
    Bars,
    /// Joined, thin and grey: what would be ideal.
    Guide,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub name: String,
    pub marks: Marks,
    pub points: Vec<(f64, f64)>,
}

/// One pair of axes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Chart {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub series: Vec<Series>,
    /// What the axes span; none: what the points need, from 0.
    pub x_range: Option<(f64, f64)>,
    pub y_range: Option<(f64, f64)>,
}

/// A linear scale from values to pixels.
#[derive(Debug, Clone, Copy)]
struct Scale {
    from: f64,
    to: f64,
    start_px: f64,
    end_px: f64,
}

impl Series {
    pub(super) fn new(name: impl Into<String>, marks: Marks, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), marks, points }
    }
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let share = (value - self.from) / (self.to - self.from);
        self.start_px + share.clamp(-0.05, 1.05) * (self.end_px - self.start_px)
    }

    fn ticks(&self) -> Vec<f64> {
        let step = round_step((self.to - self.from) / TICKS);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }
}

/// The nearest of 1, 2 and 5 times a power of ten from `step` up.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * 0.999);
    factor.unwrap_or(10.0) * power
}

/// A tick's number, without digits that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text that cannot end an element or an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

impl Chart {
    /// The chart as one `<svg>` element, which is a file of its own as well.
    pub(super) fn svg(&self) -> String {
        let (x, y) = self.scales();
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{title}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\" font-weight=\"600\" fill=\"#222\">{title}</text>\n",
            title = escape(&self.title)
        );
        self.axes(&mut out, x, y);
        self.legend(&mut out);
        for (index, series) in self.series.iter().enumerate() {
            draw(&mut out, series, COLOURS[index % COLOURS.len()], x, y);
        }
        out.push_str("</svg>\n");
        out
    }

    fn scales(&self) -> (Scale, Scale) {
        let all = || self.series.iter().flat_map(|series| &series.points);
        let span = |range: Option<(f64, f64)>, values: Vec<f64>| {
            let (from, to) = range.unwrap_or_else(|| {
                let low = values.iter().copied().fold(0.0, f64::min);
                let high = values.iter().copied().fold(0.0, f64::max);
                (low * 1.05, high * 1.05)
            });
            if to > from { (from, to) } else { (from, from + 1.0) }
        };
        let (from, to) = span(self.x_range, all().map(|point| point.0).collect());
        let x = Scale { from, to, start_px: LEFT, end_px: WIDTH - RIGHT };
        let (from, to) = span(self.y_range, all().map(|point| point.1).collect());
        (x, Scale { from, to, start_px: HEIGHT - BOTTOM, end_px: TOP })
    }

    fn axes(&self, out: &mut String, x: Scale, y: Scale) {
        for tick in y.ticks() {
            let at = y.at(tick);
            let _ = writeln!(
                out,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#e3e3e3\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                number(tick)
            );
        }
        let floor = HEIGHT - BOTTOM;
        for tick in x.ticks() {
            let at = x.at(tick);
            let _ = writeln!(
                out,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{floor}\" y2=\"{}\" stroke=\"#888\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444\">{}</text>",
                floor + 4.0,
                floor + 18.0,
                number(tick)
            );
        }
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{floor}\" y2=\"{floor}\" stroke=\"#888\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444\">{}</text>\
             <text transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\" \
             fill=\"#444\">{}</text>",
            WIDTH - RIGHT,
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 10.0,
            escape(&self.x_label),
            f64::midpoint(TOP, floor),
            escape(&self.y_label)
        );
    }

    fn legend(&self, out: &mut String) {
        let mut at = LEFT;
        for (index, series) in self.series.iter().enumerate() {
            if series.name.is_empty() {
                continue;
            }
            let colour =
                if series.marks == Marks::Guide { "#999" } else { COLOURS[index % COLOURS.len()] };
            let _ = writeln!(
                out,
                "<rect x=\"{at}\" y=\"31\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"40\" fill=\"#444\">{}</text>",
                at + 14.0,
                escape(&series.name)
            );
            at += 30.0 + 6.6 * series.name.chars().count() as f64;
        }
    }
}

fn draw(out: &mut String, series: &Series, colour: &str, x: Scale, y: Scale) {
    let points: Vec<(f64, f64)> = series
        .points
        .iter()
        .filter(|(a, b)| a.is_finite() && b.is_finite())
        .map(|&(a, b)| (x.at(a), y.at(b)))
        .collect();
    if matches!(series.marks, Marks::Line | Marks::Curve | Marks::Guide) && points.len() > 1 {
        let path: Vec<String> = points.iter().map(|(a, b)| format!("{a:.1},{b:.1}")).collect();
        let (stroke, width) =
            if series.marks == Marks::Guide { ("#999", 1.0) } else { (colour, 2.0) };
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\"/>",
            path.join(" ")
        );
    }
    if matches!(series.marks, Marks::Line | Marks::Points) {
        for (a, b) in &points {
            let _ = writeln!(
                out,
                "<circle cx=\"{a:.1}\" cy=\"{b:.1}\" r=\"3.5\" fill=\"{colour}\" fill-opacity=\"0.8\"/>"
            );
        }
    }
    if series.marks == Marks::Bars {
        let gap = points.windows(2).map(|two| two[1].0 - two[0].0).fold(f64::INFINITY, f64::min);
        let width = if gap.is_finite() { (gap - 2.0).max(1.0) } else { 24.0 };
        for (a, b) in &points {
            let (top, height) = (b.min(y.at(0.0)), (y.at(0.0) - b).abs());
            let _ = writeln!(
                out,
                "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
                 fill=\"{colour}\" fill-opacity=\"0.75\"/>",
                a - width / 2.0
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        Chart {
            title: "a <b> & \"c\"".to_owned(),
            series: vec![Series::new("one", Marks::Line, points)],
            ..Chart::default()
        }
    }

    #[test]
    fn steps_are_round() {
        let steps = [0.03, 0.2, 1.1, 6.0, 70.0].map(round_step);
        let wanted = [0.05, 0.2, 2.0, 10.0, 100.0];
        for (step, wanted) in steps.into_iter().zip(wanted) {
            assert!((step - wanted).abs() < 1e-9, "{step} is not {wanted}");
        }
    }

    #[test]
    fn names_cannot_break_out() {
        let svg = chart(vec![(0.0, 1.0), (1.0, 2.0)]).svg();
        assert!(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2);
        assert_eq!(svg.matches("<polyline").count(), 1);
    }

    #[test]
    fn nothing_and_one_point_are_charts_too() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(f64::NAN, 1.0)]] {
            let svg = chart(points).svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
