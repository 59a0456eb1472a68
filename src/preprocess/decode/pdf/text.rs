//! The text that a page of a PDF brings with it: its glyphs in the order in which the file draws them, those that
//! a scanner's program put there unseen included.
//!
//! The model never gets it: it reads the page. It tells on which page a value stands that was read there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro::hayro_interpret::font::{Glyph, GlyphRun, PositionedGlyph};
use hayro::hayro_interpret::hayro_cmap::BfString;
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask, interpret_page,
};
use hayro::hayro_syntax::page::Page;
use hayro::kurbo::{Affine, BezPath, Point, Rect, Vec2};

use crate::limits;

/// Glyphs are drawn in a space where an em, the size of the font, has so many units.
const UNITS_PER_EM: f64 = 1000.0;
/// In ems: how far from where the last glyph ended the next one of the same word may begin. A space is a quarter
/// or so, kerning a tenth at most.
const WORD_GAP_MAX: f64 = 0.15;
/// In ems: how far above or below it may stand.
const LINE_GAP_MAX: f64 = 0.3;

/// None where there is none, where a glyph does not say which letter it is, or where there is too much.
pub(super) fn of<'a>(page: &Page<'a>, fonts: &InterpreterCache<'a>) -> Option<String> {
    // The page was drawn: a font whose table of letters the library trips over costs the text alone.
    catch_unwind(AssertUnwindSafe(|| read(page, fonts))).ok().flatten()
}

fn read<'a>(page: &Page<'a>, fonts: &InterpreterCache<'a>) -> Option<String> {
    let (width, height) = page.render_dimensions();
    let area = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
    let settings = InterpreterSettings::default();
    let mut context = Context::new(Affine::IDENTITY, area, fonts, page.xref(), settings);
    let mut letters = Letters::default();
    interpret_page(page, &mut context, &mut letters);
    (letters.known && !letters.text.trim().is_empty()).then_some(letters.text)
}

/// Takes the glyphs and draws nothing.
#[derive(Debug)]
struct Letters {
    text: String,
    /// Whether each glyph said what it is, and all of them had room.
    known: bool,
    end: Option<End>,
}

/// Where a glyph ended, and how large an em is there.
#[derive(Debug, Clone, Copy)]
struct End {
    /// As it was drawn, and as its font without any stretching has it: of a font that stands in for another one
    /// glyphs are drawn in the width of the other's, and of some files all letters are stretched.
    points: [Point; 2],
    em: f64,
}

impl Default for Letters {
    fn default() -> Self {
        Self { text: String::new(), known: true, end: None }
    }
}

impl Letters {
    fn add(&mut self, glyph: &PositionedGlyph<'_>, to_page: Affine) {
        let Some(letters) = glyph.as_unicode() else {
            self.known = false;
            return;
        };
        let to_page = to_page * glyph.transform();
        let begin = to_page * Point::ZERO;
        if !self.end.is_some_and(|end| end.goes_on_at(begin, to_page)) {
            self.text.push(' ');
        }
        match letters {
            BfString::Char(char) => self.text.push(char),
            BfString::String(chars) => self.text.push_str(&chars),
        }
        self.known &= self.text.len() <= limits::PDF_TEXT_BYTES_MAX;
        let width = match &**glyph {
            Glyph::Outline(glyph) => glyph.advance_width(),
            Glyph::Type3(glyph) => glyph.advance_width(),
        };
        // A glyph of unknown width ends its word: better a value that is not found than one made of two.
        self.end = width.map(|width| {
            let width = f64::from(width);
            let em = (to_page * Point::new(0.0, UNITS_PER_EM) - begin).hypot();
            let drawn = to_page * Point::new(width, 0.0);
            End { points: [drawn, begin + line(to_page) * (em * width / UNITS_PER_EM)], em }
        });
    }
}

impl End {
    /// Whether a glyph that begins there is of the same word.
    fn goes_on_at(self, begin: Point, to_page: Affine) -> bool {
        let line = line(to_page);
        self.points.into_iter().any(|end| {
            let step = begin - end;
            step.dot(line).abs() <= WORD_GAP_MAX * self.em
                && step.cross(line).abs() <= LINE_GAP_MAX * self.em
        })
    }
}

/// The direction in which glyphs follow one another.
fn line(to_page: Affine) -> Vec2 {
    let [a, b, ..] = to_page.as_coeffs();
    let line = Vec2::new(a, b);
    line / line.hypot().max(f64::MIN_POSITIVE)
}

impl<'a> Device<'a> for Letters {
    // Text that is filled and stroked comes twice: that makes none of it wrong.
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        for glyph in run.glyphs() {
            if self.known {
                self.add(glyph, props.transform);
            }
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
