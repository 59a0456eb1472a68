//! Amounts as decimal numbers: a minus sign, digits, a point. The currency is left out: the page says
//! it once, or nowhere.

/// Digits before the point: more than any amount has, few enough to add up without overflow.
const WHOLE_DIGITS_MAX: usize = 15;
const FRACTION_DIGITS_MAX: usize = 4;

const CURRENCIES: &[&str] =
    &["AUD", "NZD", "USD", "GBP", "EUR", "AU$", "US$", "NZ$", "A$", "$", "£", "€"];

/// The amount that `text` is: `-1,234.50`, `$12`, `(3.20)`, `5.00 DR`.
pub(super) fn of(text: &str) -> Option<String> {
    let mut rest = text.trim();
    let mut negative = false;
    if let Some(inside) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        (rest, negative) = (inside, true);
    }
    // A debit on a statement is a minus; a credit says nothing that the sign does not.
    if let Some(before) = without_suffix(rest, "DR") {
        (rest, negative) = (before, true);
    } else if let Some(before) = without_suffix(rest, "CR") {
        rest = before;
    }
    (rest, negative) = signed(rest, negative);
    rest = without_currency(rest);
    (rest, negative) = signed(rest, negative);
    let (whole, fraction) = rest.split_once('.').map_or((rest, ""), |(a, b)| (a, b));
    let whole = without_commas(whole)?;
    if fraction.len() > FRACTION_DIGITS_MAX || !is_digits(fraction) || rest.ends_with('.') {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if whole.len() > WHOLE_DIGITS_MAX {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// Takes off a minus on either side, or a plus before.
fn signed(text: &str, negative: bool) -> (&str, bool) {
    let text = text.trim();
    let minus = ['-', '−'];
    if let Some(rest) = text.strip_prefix(minus).or_else(|| text.strip_suffix(minus)) {
        return (rest.trim(), true);
    }
    (text.strip_prefix('+').unwrap_or(text).trim(), negative)
}

fn without_currency(text: &str) -> &str {
    let known = |currency: &&str| {
        text.strip_prefix(*currency).or_else(|| text.strip_suffix(*currency)).map(str::trim)
    };
    let rest = CURRENCIES.iter().find_map(known).unwrap_or(text);
    // "AUD $4.00"
    rest.strip_prefix('$').map_or(rest, str::trim)
}

fn without_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    let end = text.get(at..)?;
    end.eq_ignore_ascii_case(suffix).then(|| text[..at].trim_end())
}

/// Digits with a comma, if any, before each group of three.
fn without_commas(text: &str) -> Option<String> {
    let mut groups = text.split(',');
    let first = groups.next().filter(|first| !first.is_empty() && is_digits(first))?;
    let mut digits = first.to_owned();
    for group in groups {
        if first.len() > 3 || group.len() != 3 || !is_digits(group) {
            return None;
        }
        digits.push_str(group);
    }
    Some(digits)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
