//! Sees a step that does not end, and gives the engine up: a process that hangs helps nobody, and looks
//! well from outside.

use std::time::Duration;

use crate::engine;

/// How often it looks; a limit below four of these is looked at more often.
const LOOK: Duration = Duration::from_secs(1);

/// Watches until the engine hangs for `limit`; then it is failed, which ends the process.
pub(super) async fn watch(engine: engine::Handle, limit: Duration) {
    let look = LOOK.min(limit / 4).max(Duration::from_millis(1));
    loop {
        tokio::time::sleep(look).await;
        let busy = engine.busy_for();
        if busy >= limit {
            let seconds = busy.as_secs_f64();
            engine.fail(&format!("a step has run for {seconds:.1} s and does not end"));
            return;
        }
    }
}
