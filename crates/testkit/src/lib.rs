//! Builders, fakes and the end-to-end tests of Cairn.
