//! What must hold whatever happens, by name. A broken invariant panics in tests and debug builds;
//! in a release it is logged and the server goes on.

/// The engine's invariants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum InvariantId {
    /// A slot belongs to at most one sequence.
    SlotOwnedOnce,
    /// Owned and free slots together are all slots.
    SlotsConserved,
    /// A KV block that is given away has no owner, one that is given back has.
    BlockOwnedOnce,
    /// Owned and free KV blocks together are all KV blocks.
    BlocksConserved,
    /// A KV block that is written belongs to one sequence, and nobody else can find it.
    SharedReadOnly,
    /// A sequence has KV blocks for all tokens that it holds or takes in.
    BlocksForTokens,
    /// A sequence's tokens are taken in one after the other, without gaps.
    PositionsGapless,
    /// No more prompt tokens in a step than configured.
    PrefillBudget,
    /// No more tiles between two steps than configured.
    VisionBudget,
    /// A step returns a choice for each segment that asked for one.
    ChoicePerSegment,
    /// A prompt has as many image tokens as its tiles have feature rows.
    ImageTokensPerTile,
    /// A request's events end with exactly one terminal result.
    OneTerminal,
    /// Every decoding sequence whose reader keeps up is in every step, but for one that comes back while a step is begun
    /// ahead without it.
    #[cfg(test)]
    DecodeEveryStep,
    /// A request starts before every request that came after it.
    #[cfg(test)]
    FirstComeFirstServed,
    /// A request that runs moves on within a bounded number of steps.
    #[cfg(test)]
    NoStarvation,
}

/// Checks `$holds`; the rest says what was found, as in `format!`.
macro_rules! check_invariant {
    ($id:expr, $holds:expr, $($found:tt)+) => {
        if !$holds {
            $crate::engine::invariant::broken($id, &format!($($found)+));
        }
    };
}
pub(super) use check_invariant;

/// Reports a broken invariant.
pub(super) fn broken(id: InvariantId, found: &str) {
    tracing::error!(invariant = ?id, found, "a broken invariant: this is a bug");
    debug_assert!(false, "invariant {id:?} is broken: {found}");
}
