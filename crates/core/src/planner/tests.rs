//! Three small trees as text, what planning makes of them, and random trees that must always meet.

mod converge;
mod excluded;
mod model;
mod rounds;
mod table;
