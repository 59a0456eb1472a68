//! The fields of an answer that is still being written: an answer is text that should hold one JSON
//! object, and its leaves are the fields.
//!
//! Pure: text goes in, fields come out. Nothing here knows tokens as ids, the wire, or time.

mod calibration;
mod check;
mod confidence;
mod escape;
mod looked;
mod mend;
mod normal;
mod number;
mod page;
mod reader;

pub use calibration::{
    CALIBRATION_FILE, CALIBRATION_FORMAT, Calibration, CalibrationError, Curve, OTHER_KINDS,
    after_checks,
};
pub use check::{Check, Evidence, Rule, check};
pub use confidence::{Confidence, TokenScore};
pub use mend::{Mended, Repair, held_lines, mend, mend_lines};
pub use normal::{Normal, Normals, is_list, note};
pub use page::{FoundPage, PageEvidence, PageTexts};
pub use reader::{Field, FieldEvent, FieldReader, FieldValue};
