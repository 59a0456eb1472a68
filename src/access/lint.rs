//! What an access file says that has no effect: rules that name nobody, keys that no rule names.

use super::ANONYMOUS;
use super::policy::Policy;

/// How names begin, and what proves them.
const KEY: &str = "key:";
const TOKEN: &str = "jwt:";
const CERTIFICATE: [&str; 2] = ["spiffe://", "dns:"];

/// What is worth a word about `policy`, where client certificates are asked for or not.
pub(super) fn warnings(policy: &Policy, certificates: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, rule) in policy.rules.iter().enumerate() {
        if rule.callers.is_empty() {
            warnings.push(format!("rule[{index}] has no callers: name them, or remove it"));
        }
        for caller in &rule.callers {
            let before = &policy.rules[..index];
            let covering = before
                .iter()
                .position(|rule| rule.callers.iter().any(|earlier| covers(earlier, caller)));
            let why = match covering {
                Some(first) => Some(format!(
                    "never counts: rule[{first}] names the same callers and comes first; move it up, or remove it"
                )),
                None => nobody(policy, caller, certificates),
            };
            warnings.extend(why.map(|why| format!("rule[{index}] {caller:?} {why}")));
        }
    }
    for key in &policy.keys {
        let name = format!("{KEY}{}", key.name);
        let named = policy.rules.iter().flat_map(|rule| &rule.callers);
        if !named.into_iter().any(|pattern| covers(pattern, &name)) {
            warnings.push(format!(
                "no rule names {name:?}: it may call nothing; add it to a rule, or remove the key"
            ));
        }
    }
    warnings
}

/// Why no caller can have a name as `pattern` has it.
fn nobody(policy: &Policy, pattern: &str, certificates: bool) -> Option<String> {
    if pattern == "*" || pattern == ANONYMOUS {
        return None;
    }
    let of = |start: &str| may_begin(pattern, start);
    let of_certificate = CERTIFICATE.into_iter().any(of);
    if !of(KEY) && !of(TOKEN) && !of_certificate {
        return Some(
            "names nobody: names begin with key:, jwt:, spiffe:// or dns:, or are anonymous"
                .to_owned(),
        );
    }
    let key =
        of(KEY) && policy.keys.iter().any(|key| covers(pattern, &format!("{KEY}{}", key.name)));
    if key || (of(TOKEN) && policy.jwt.is_some()) || (of_certificate && certificates) {
        return None;
    }
    Some(if of_certificate {
        "names nobody without client certificates: give --tls-client-ca".to_owned()
    } else if of(TOKEN) {
        "names nobody without a section [jwt]: add it, with issuers, audiences and jwks-file"
            .to_owned()
    } else {
        "names no key of this file: add a [[key]] with this name, which `tessera key NAME` prints"
            .to_owned()
    })
}

/// Whether a name that `pattern` has can begin with `start`.
fn may_begin(pattern: &str, start: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => prefix.starts_with(start) || start.starts_with(prefix),
        None => pattern.starts_with(start),
    }
}

/// Whether `pattern` names everybody that `other` names.
fn covers(pattern: &str, other: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => other != ANONYMOUS,
        Some(prefix) => other.starts_with(prefix),
        None => pattern == other,
    }
}
