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
    pub(super) probe: Script,
}

/// A file of `store/scripts/`.
macro_rules! lua {
    ($name:literal) => {
        include_str!(concat!("../scripts/", $name, ".lua"))
    };
}

pub(super) static REAL: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(lua!("clock")));
pub(super) static VIRTUAL: LazyLock<Scripts> =
    LazyLock::new(|| Scripts::new(lua!("virtual_clock")));

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
            probe: plain(lua!("probe")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// The commands that a script sends.
    fn commands(source: &str) -> impl Iterator<Item = String> {
        source
            .split("redis.call('")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('\'')?.0.to_lowercase()))
    }

    #[test]
    fn the_probe_uses_each_command_that_the_scripts_use() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/scripts");
        let all: String = fs::read_dir(folder)
            .expect("a folder")
            .map(|file| fs::read_to_string(file.expect("a file").path()).expect("text"))
            .collect();
        let needed: BTreeSet<String> = commands(&all).collect();
        let probe = format!("{}{}", lua!("clock"), lua!("probe"));
        assert_eq!(commands(&probe).collect::<BTreeSet<_>>(), needed);
        let named: BTreeSet<String> =
            super::super::causes::COMMANDS.split(' ').map(str::to_owned).collect();
        assert_eq!(
            named,
            needed.into_iter().chain(["eval", "evalsha"].map(str::to_owned)).collect()
        );
    }
}
