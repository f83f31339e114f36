//! What is sent arrives; what no honest program sends is refused.

mod arbitrary;
mod frame;
mod wire;
