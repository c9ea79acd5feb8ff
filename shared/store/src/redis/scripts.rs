//! The scripts of `store/scripts/`, put together and hashed once: with the server's clock, and with
//! a virtual one.
//!
//! A script is the clock, what it includes, and its own file of `commands/`.

use std::sync::LazyLock;

use super::connection::Script;
use crate::constants;

/// How many keys a script takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// So many.
    Only(usize),
    /// So many, and then one of each limit.
    AndLimits(usize),
}

impl Keys {
    pub(super) fn allow(self, count: usize) -> bool {
        match self {
            Self::Only(keys) => count == keys,
            Self::AndLimits(keys) => count >= keys,
        }
    }
}

/// A file of `store/scripts/`, by its folder and name.
macro_rules! lua {
    ($folder:literal, $name:ident) => {
        include_str!(concat!("../../scripts/", $folder, "/", stringify!($name), ".lua"))
    };
}

/// Declares the scripts: the field, which is also the name of the file, the functions of
/// [`includes`] that stand before it, and its keys.
macro_rules! scripts {
    ($($name:ident [$($include:ident)*] $keys:expr;)*) => {
        pub(super) struct Scripts {
            $(pub(super) $name: Script,)*
        }

        impl Scripts {
            fn new(clock: &str) -> Self {
                Self {
                    $($name: {
                        let includes: &[String] = &[$(includes::$include()),*];
                        let own = lua!("commands", $name);
                        Script::new([clock, &includes.concat(), own].concat(), $keys)
                    },)*
                }
            }
        }

        /// Each script's name, own text and keys.
        #[cfg(test)]
        const DECLARED: &[(&str, &str, Keys)] =
            &[$((stringify!($name), lua!("commands", $name), $keys)),*];
    };
}

scripts! {
    admit [limits] Keys::AndLimits(3);
    release [limits] Keys::AndLimits(3);
    check [limits] Keys::AndLimits(2);
    consume [limits] Keys::Only(1);
    approve [limits] Keys::Only(1);
    conversion [limits] Keys::Only(1);
    put_plain [] Keys::Only(1);
    message [] Keys::Only(1);
    take_picture [] Keys::Only(1);
    claim [] Keys::Only(1);
    complete [] Keys::Only(1);
    find [] Keys::Only(1);
    cancel [] Keys::Only(1);
    acquire_lease [] Keys::Only(1);
    record_outcome [] Keys::Only(1);
    record_delivery_report [] Keys::Only(1);
    permit [accounts] Keys::Only(1);
    report [accounts] Keys::Only(1);
    circuit [] Keys::Only(1);
    probe [] Keys::Only(1);
}

/// What stands before a script that asks for it: constants of Rust, and files of `includes/`.
mod includes {
    use super::constants;

    pub(super) fn limits() -> String {
        constants::limits() + lua!("includes", limits)
    }

    pub(super) fn accounts() -> String {
        constants::accounts()
    }
}

pub(super) static REAL: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(lua!("includes", clock)));
pub(super) static VIRTUAL: LazyLock<Scripts> =
    LazyLock::new(|| Scripts::new(lua!("includes", virtual_clock)));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(folder);
        let files = fs::read_dir(folder).expect("a folder");
        files.map(|file| file.expect("a file").path()).collect()
    }

    /// The numbers that stand in a text after `before` and before `after`.
    fn numbers(text: &str, before: &str, after: &str) -> BTreeSet<usize> {
        let parts = text.split(before).skip(1).filter_map(|rest| rest.split_once(after));
        parts.filter_map(|(number, _)| number.parse().ok()).collect()
    }

    #[test]
    fn each_script_uses_the_keys_that_it_declares() {
        for (name, source, keys) in DECLARED {
            let code: String = source.lines().filter(|line| !line.starts_with("--")).collect();
            let highest = numbers(&code, "KEYS[", "]").last().copied().expect("a key");
            let limits_from = numbers(&code, "(", ", #KEYS");
            match *keys {
                Keys::Only(count) => {
                    assert_eq!((highest, code.contains("#KEYS")), (count, false), "{name}");
                }
                Keys::AndLimits(count) => {
                    assert!(highest <= count, "{name}: KEYS[{highest}]");
                    assert_eq!(limits_from, BTreeSet::from([count + 1]), "{name}");
                }
            }
        }
    }

    #[test]
    fn each_file_is_declared_and_says_what_it_takes() {
        let declared: BTreeSet<&str> = DECLARED.iter().map(|(name, ..)| *name).collect();
        let there = files("commands");
        let there: BTreeSet<&str> =
            there.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
        assert_eq!(declared, there);
        for (name, source, _) in DECLARED {
            assert!(source.contains("\n-- KEYS     "), "{name} has no line for its keys");
        }
    }

    /// The commands that a script sends.
    fn commands(source: &str) -> impl Iterator<Item = String> {
        source
            .split("redis.call('")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('\'')?.0.to_lowercase()))
    }

    #[test]
    fn the_probe_uses_each_command_that_the_scripts_use() {
        let all: String = ["commands", "includes"]
            .into_iter()
            .flat_map(files)
            .map(|path| fs::read_to_string(path).expect("text"))
            .collect();
        let needed: BTreeSet<String> = commands(&all).collect();
        let probe = [lua!("includes", clock), lua!("commands", probe)].concat();
        assert_eq!(commands(&probe).collect::<BTreeSet<_>>(), needed);
        let named: BTreeSet<String> =
            crate::redis::causes::COMMANDS.split(' ').map(str::to_owned).collect();
        assert_eq!(
            named,
            needed.into_iter().chain(["eval", "evalsha"].map(str::to_owned)).collect()
        );
    }
}
