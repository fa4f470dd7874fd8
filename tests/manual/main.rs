//! What a person reads: the manual, the messages, what is found in a script before it runs.

#[path = "../common/mod.rs"]
mod common;

mod check;
mod docs;
mod messages;
