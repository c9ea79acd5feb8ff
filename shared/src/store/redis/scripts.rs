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

/// A file of `store/scripts/`, by its folder and name.
macro_rules! lua {
    ($name:literal) => {
        include_str!(concat!("../scripts/", $name, ".lua"))
    };
}

pub(super) static REAL: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(lua!("includes/clock")));
pub(super) static VIRTUAL: LazyLock<Scripts> =
    LazyLock::new(|| Scripts::new(lua!("includes/virtual_clock")));

impl Scripts {
    fn new(clock: &str) -> Self {
        let plain = |source: &str| Script::new(format!("{clock}{source}"));
        let limited =
            |source: &str| Script::new(format!("{clock}{}{source}", lua!("includes/limits")));
        Self {
            admit: limited(lua!("commands/admit")),
            release: limited(lua!("commands/release")),
            check: limited(lua!("commands/check")),
            take: limited(lua!("commands/take")),
            approve: limited(lua!("commands/approve")),
            conversion: limited(lua!("commands/conversion")),
            put_plain: plain(lua!("commands/put_plain")),
            message: plain(lua!("commands/message")),
            take_picture: plain(lua!("commands/take_picture")),
            claim: plain(lua!("commands/claim")),
            settle: plain(lua!("commands/settle")),
            find: plain(lua!("commands/find")),
            cancel: plain(lua!("commands/cancel")),
            begin: plain(lua!("commands/begin")),
            finish: plain(lua!("commands/finish")),
            receipt: plain(lua!("commands/receipt")),
            permit: plain(lua!("commands/permit")),
            report: plain(lua!("commands/report")),
            circuit: plain(lua!("commands/circuit")),
            probe: plain(lua!("commands/probe")),
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
        let all: String = ["commands", "includes"]
            .into_iter()
            .flat_map(|part| fs::read_dir(folder.join(part)).expect("a folder"))
            .map(|file| fs::read_to_string(file.expect("a file").path()).expect("text"))
            .collect();
        let needed: BTreeSet<String> = commands(&all).collect();
        let probe = format!("{}{}", lua!("includes/clock"), lua!("commands/probe"));
        assert_eq!(commands(&probe).collect::<BTreeSet<_>>(), needed);
        let named: BTreeSet<String> =
            super::super::causes::COMMANDS.split(' ').map(str::to_owned).collect();
        assert_eq!(
            named,
            needed.into_iter().chain(["eval", "evalsha"].map(str::to_owned)).collect()
        );
    }
}
