//! Dates as `YYYY-MM-DD`. The day stands before the month, as Australian documents have it; a date that
//! is none that way, or has no year, is not understood.

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Years with two digits from here on are of the last century.
const CENTURY_TURN: u32 = 70;

/// The date that `text` is: `3/4/2028`, `01-May-98`, `27th March 2020`, `2019-12-13`.
pub(super) fn of(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let parts: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || "/-.,".contains(c))
        .filter(|part| !part.is_empty() && !is_day_name(part))
        .collect();
    let [first, second, third] = parts[..] else { return None };
    let (day, month, year) = if first.len() == 4 && number(first).is_some() {
        (number(third)?, number(second)?, number(first)?)
    } else if let Some(month) = month(first) {
        (day(second)?, month, year(third)?)
    } else {
        (day(first)?, month(second).or_else(|| number(second))?, year(third)?)
    };
    let exists = (1..=12).contains(&month) && (1..=days(month, year)).contains(&day);
    exists.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// Two dates: `01/01/2015 to 27/01/2015`, `01 May 2014-27 May 2014`.
pub(super) fn range(text: &str) -> Option<String> {
    [" to ", "–", "—", "-"].into_iter().find_map(|separator| {
        let mut places = text.match_indices(separator);
        places.find_map(|(at, _)| {
            Some(format!("{}/{}", of(&text[..at])?, of(&text[at + separator.len()..])?))
        })
    })
}

fn is_day_name(part: &str) -> bool {
    part.len() >= 3 && DAYS.iter().any(|day| part.starts_with(day)) && month(part).is_none()
}

fn month(part: &str) -> Option<u32> {
    const FULL: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let known = |index: &usize| part == MONTHS[*index] || part == FULL[*index];
    let month = (0..12).find(known).or_else(|| (part == "sept").then_some(8))?;
    Some(month as u32 + 1)
}

fn day(part: &str) -> Option<u32> {
    let digits = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let ending = &part[digits.len()..];
    ["", "st", "nd", "rd", "th"].contains(&ending).then(|| number(digits)).flatten()
}

fn year(part: &str) -> Option<u32> {
    let year = number(part)?;
    match part.len() {
        4 => Some(year),
        2 if year < CENTURY_TURN => Some(2000 + year),
        2 => Some(1900 + year),
        _ => None,
    }
}

fn number(part: &str) -> Option<u32> {
    let digits = part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| part.parse().ok()).flatten()
}

fn days(month: u32, year: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
