//! What this binary is.

/// Release and commit, features and target, one a line.
pub(super) fn text() -> String {
    format!(
        "tessera {} ({})\ncuda: {}\ntarget: {}-{}",
        env!("CARGO_PKG_VERSION"),
        env!("TESSERA_COMMIT"),
        if cfg!(feature = "cuda") { "yes" } else { "no" },
        std::env::consts::ARCH,
        std::env::consts::OS,
    )
}
