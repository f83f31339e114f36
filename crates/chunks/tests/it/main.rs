//! Tests of the stores from outside.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod model;
#[cfg(test)]
mod reopen;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod support;
