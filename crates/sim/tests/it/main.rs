//! Lessons of other people's lost files, each as a short script with what must come of it.

mod attributes;
mod conflicts;
mod content;
mod deltas;
mod disks;
mod lessons;
mod liveness;
mod moves;
mod mutants;
mod names;
mod power;
mod restored;
mod steps;
mod support;
mod world;
