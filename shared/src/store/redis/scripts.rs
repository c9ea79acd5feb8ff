//! The scripts of `store/scripts/`, hashed once: with the server's clock, and with a virtual one.

use std::sync::LazyLock;

use super::connection::Script;

pub(super) struct Scripts {
    pub(super) admit: Script,
    pub(super) release: Script,
    pub(super) check: Script,
    pub(super) take: Script,
    pub(super) approve: Script,
    pub(super) conversion: Script,
    pub(super) put_plain: Script,
    pub(super) message: Script,
    pub(super) take_picture: Script,
    pub(super) claim: Script,
    pub(super) settle: Script,
    pub(super) find: Script,
    pub(super) cancel: Script,
    pub(super) begin: Script,
    pub(super) finish: Script,
    pub(super) receipt: Script,
    pub(super) permit: Script,
    pub(super) report: Script,
    pub(super) circuit: Script,
}

/// A file of `store/scripts/`.
macro_rules! lua {
    ($name:literal) => {
        include_str!(concat!("../scripts/", $name, ".lua"))
    };
}

pub(super) static REAL: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(lua!("clock")));
pub(super) static VIRTUAL: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(lua!("virtual_clock")));

impl Scripts {
    fn new(clock: &str) -> Self {
        let plain = |source: &str| Script::new(format!("{clock}{source}"));
        let limited = |source: &str| Script::new(format!("{clock}{}{source}", lua!("limits")));
        Self {
            admit: limited(lua!("admit")),
            release: limited(lua!("release")),
            check: limited(lua!("check")),
            take: limited(lua!("take")),
            approve: limited(lua!("approve")),
            conversion: limited(lua!("conversion")),
            put_plain: plain(lua!("put_plain")),
            message: plain(lua!("message")),
            take_picture: plain(lua!("take_picture")),
            claim: plain(lua!("claim")),
            settle: plain(lua!("settle")),
            find: plain(lua!("find")),
            cancel: plain(lua!("cancel")),
            begin: plain(lua!("begin")),
            finish: plain(lua!("finish")),
            receipt: plain(lua!("receipt")),
            permit: plain(lua!("permit")),
            report: plain(lua!("report")),
            circuit: plain(lua!("circuit")),
        }
    }
}
