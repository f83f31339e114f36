//! What is sent arrives; what no honest program sends is refused.

#![expect(
    clippy::unwrap_used,
    reason = "a test that unwraps what it must not fails, as it should"
)]

mod arbitrary;
mod frame;
mod wire;
