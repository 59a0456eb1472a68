//! Two texts with what differs marked, for people.

use crate::cli::chart::escape;

/// Longer texts are shown as they are: the table below grows with the square.
const CHARACTERS_MAX: usize = 600;
/// Texts that have less in common than this are two texts: marks would only say which letters they share.
const ALIKE_MIN: f64 = 0.4;

/// `found` as HTML: what is not in `truth` in `<ins>`, what `truth` has beside it in `<del>`.
pub(super) fn html(truth: &str, found: &str) -> String {
    let length = truth.chars().count().max(found.chars().count());
    if length > CHARACTERS_MAX {
        return escape(found);
    }
    if strsim::normalized_levenshtein(truth, found) < ALIKE_MIN {
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
}
