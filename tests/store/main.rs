//! Reading and writing: what is written comes back, what is wrong is refused with one clear sentence, and other
//! programs read our files.

mod bad_input;
mod h5;
mod interop;
mod mrc;
mod raw;
mod star;
