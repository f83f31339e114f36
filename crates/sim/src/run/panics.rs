//! Panics in simulations are findings: they are kept for the run that they belong to, and not printed.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOKED: Once = Once::new();

/// Keeps the first panic on this thread from now on, until [`take`].
pub(super) fn watch() {
    HOOKED.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_WATCHED.get() {
                FIRST.with_borrow_mut(|first| {
                    first.get_or_insert_with(|| told(info));
                });
            } else {
                usual(info);
            }
        }));
    });
    FIRST.set(None);
    IS_WATCHED.set(true);
}

/// What a panic says, and where it came about if `RUST_BACKTRACE` asks for that.
fn told(info: &PanicHookInfo<'_>) -> String {
    let trace = Backtrace::capture();
    match trace.status() {
        BacktraceStatus::Captured => format!("{info}\n{trace}"),
        _ => info.to_string(),
    }
}

/// The first panic since [`watch`].
pub(super) fn take() -> Option<String> {
    IS_WATCHED.set(false);
    FIRST.take()
}
