//! The commands of `sms-verify`, a file each. Without a command it runs `api` and `worker` in one
//! process; `api` is [`crate::server`].

pub mod consume;
pub mod dead_letters;
pub mod facts;
pub mod gateway_check;
pub mod health;
pub mod invoke;
pub mod simulate;
pub mod worker;
