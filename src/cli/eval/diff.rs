//! Two texts with what differs marked, for people.

use crate::cli::chart::escape;
use crate::fields;
use crate::schema::SEPARATOR;

/// Longer texts are shown as they are: the table below grows with the square.
const CHARACTERS_MAX: usize = 600;
/// Texts that have less in common than this are two texts: marks would only say which letters they share.
const ALIKE_MIN: f64 = 0.4;

/// An item too many or too few; one in another's place costs at most 1.
const ITEM_COST: f64 = 0.7;

/// The value `found` of the field `name` as [`html`] has it; lists item by item, so that a lost one does not mark
/// all that follow.
pub(super) fn of_field(name: &str, truth: &str, found: &str) -> String {
    let several = [truth, found].iter().all(|value| value.contains(SEPARATOR));
    if !(several && fields::is_list(name)) {
        return html(truth, found);
    }
    let split = |list| -> Vec<&str> { str::split(list, '|').map(str::trim).collect() };
    let shown = |&(truth, found): &(Option<&str>, Option<&str>)| match (truth, found) {
        (Some(truth), Some(found)) if alike(truth, found) >= ALIKE_MIN => html(truth, found),
        (truth, found) => {
            let mark = |item: Option<&str>, mark: Mark| {
                item.map_or_else(String::new, |item| {
                    format!("{}{}{}", mark.opening(), escape(item), mark.closing())
                })
            };
            mark(truth, Mark::Lost) + &mark(found, Mark::Added)
        }
    };
    let items: Vec<String> = paired(&split(truth), &split(found)).iter().map(shown).collect();
    items.join(SEPARATOR)
}

/// `found` as HTML: what is not in `truth` in `<ins>`, what `truth` has beside it in `<del>`.
pub(super) fn html(truth: &str, found: &str) -> String {
    let length = truth.chars().count().max(found.chars().count());
    if length > CHARACTERS_MAX {
        return escape(found);
    }
    if alike(truth, found) < ALIKE_MIN {
        return if found.is_empty() {
            String::new()
        } else {
            format!("<ins>{}</ins>", escape(found))
        };
    }
    let (truth, found): (Vec<char>, Vec<char>) = (truth.chars().collect(), found.chars().collect());
    let mut out = String::new();
    let mut open = Mark::Same;
    for (mark, c) in marks(&truth, &found) {
        if mark != open {
            out.push_str(open.closing());
            out.push_str(mark.opening());
            open = mark;
        }
        out.push_str(&escape(&c.to_string()));
    }
    out.push_str(open.closing());
    out
}

fn alike(a: &str, b: &str) -> f64 {
    strsim::normalized_levenshtein(a, b)
}

/// Items of both that belong together, in order, and those that have no other.
fn paired<'a>(truth: &[&'a str], found: &[&'a str]) -> Vec<(Option<&'a str>, Option<&'a str>)> {
    let columns = found.len() + 1;
    // What it costs to turn what is left of one into what is left of the other.
    let mut costs = vec![0.0; (truth.len() + 1) * columns];
    let pair = |i: usize, j: usize, costs: &[f64]| {
        1.0 - alike(truth[i], found[j]) + costs[(i + 1) * columns + j + 1]
    };
    for i in (0..=truth.len()).rev() {
        for j in (0..=found.len()).rev() {
            costs[i * columns + j] = match (i < truth.len(), j < found.len()) {
                (false, false) => 0.0,
                (true, false) => costs[(i + 1) * columns + j] + ITEM_COST,
                (false, true) => costs[i * columns + j + 1] + ITEM_COST,
                (true, true) => {
                    let alone = costs[(i + 1) * columns + j].min(costs[i * columns + j + 1]);
                    pair(i, j, &costs).min(alone + ITEM_COST)
                }
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < truth.len() || j < found.len() {
        let both = i < truth.len() && j < found.len();
        if both && pair(i, j, &costs) <= costs[i * columns + j] {
            pairs.push((Some(truth[i]), Some(found[j])));
            (i, j) = (i + 1, j + 1);
        } else if j == found.len()
            || (both && costs[(i + 1) * columns + j] <= costs[i * columns + j + 1])
        {
            pairs.push((Some(truth[i]), None));
            i += 1;
        } else {
            pairs.push((None, Some(found[j])));
            j += 1;
        }
    }
    pairs
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Same,
    Lost,
    Added,
}

impl Mark {
    fn opening(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Lost => "<del>",
            Self::Added => "<ins>",
        }
    }

    fn closing(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Lost => "</del>",
            Self::Added => "</ins>",
        }
    }
}

/// The characters of both along their longest common subsequence.
fn marks(truth: &[char], found: &[char]) -> Vec<(Mark, char)> {
    let columns = found.len() + 1;
    // Length of the common subsequence of what is left from each place on.
    let mut left = vec![0_u32; (truth.len() + 1) * columns];
    for i in (0..truth.len()).rev() {
        for j in (0..found.len()).rev() {
            left[i * columns + j] = if truth[i] == found[j] {
                left[(i + 1) * columns + j + 1] + 1
            } else {
                left[(i + 1) * columns + j].max(left[i * columns + j + 1])
            };
        }
    }
    let (mut i, mut j, mut marks) = (0, 0, Vec::new());
    while i < truth.len() || j < found.len() {
        if i < truth.len() && j < found.len() && truth[i] == found[j] {
            marks.push((Mark::Same, truth[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == found.len()
            || (i < truth.len() && left[(i + 1) * columns + j] >= left[i * columns + j + 1])
        {
            marks.push((Mark::Lost, truth[i]));
            i += 1;
        } else {
            marks.push((Mark::Added, found[j]));
            j += 1;
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_marked() {
        assert_eq!(html("Burnie", "Burnie"), "Burnie");
        assert_eq!(html("Burnie", "Burnle"), "Burn<del>i</del><ins>l</ins>e");
        assert_eq!(html("a<bc", "bc"), "<del>a&lt;</del>bc");
        assert_eq!(html("", "x"), "<ins>x</ins>");
        assert_eq!(html("x", ""), "");
        assert_eq!(html("Snacks & Leenx Ltd", "Sherron"), "<ins>Sherron</ins>");
    }

    #[test]
    fn lists_are_set_against_one_another_item_by_item() {
        let amounts = |truth, found| of_field("LINE_ITEM_PRICES", truth, found);
        assert_eq!(amounts("1.10 | 2.20", "1.10 | 2.20"), "1.10 | 2.20");
        assert_eq!(amounts("1.10 | 2.20 | 3.30", "1.10 | 3.30"), "1.10 | <del>2.20</del> | 3.30");
        assert_eq!(amounts("1.10 | 3.30", "1.10 | 2.20 | 3.30"), "1.10 | <ins>2.20</ins> | 3.30");
        assert_eq!(
            amounts("1.10 | 2.20 | 3", "1.15 | NOT_FOUND | 3"),
            "1.1<del>0</del><ins>5</ins> | <del>2.20</del><ins>NOT_FOUND</ins> | 3"
        );
        assert_eq!(of_field("SUPPLIER_NAME", "a | b", "a | c"), html("a | b", "a | c"));
    }
}
